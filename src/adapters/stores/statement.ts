/**
 * A first word, behind spaces and comments, that would begin or end a transaction; `rollback to` a savepoint would not. The
 * transaction is its owner's: a statement of a user must not separate rows and messages.
 */
export const endsTransaction =
  /^(?:[\s;]|--[^\n]*(?:\n|$)|\/\*[^]*?\*\/)*(?:begin|start|commit|end|abort|prepare\s+transaction|rollback(?!\s+(?:(?:transaction|work)\s+)?to\b))\b/i
