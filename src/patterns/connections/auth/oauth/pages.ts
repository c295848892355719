import type { Reply } from '#kernel/http.ts'

/** A page for the person who authorises: nothing of theirs or of the server's is repeated in it. */
export function page(status: number, title: string, text: string, form = ''): Reply {
  const body = `<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${escaped(title)}</title>
<h1>${escaped(title)}</h1><p>${escaped(text)}</p>${form}</html>
`
  return { status, body, headers: { ...headers, 'content-type': 'text/html; charset=utf-8' } }
}

/** One button. A program that follows links (a mail scanner, a preview) does not press it, so it cannot use the link up. */
export function button(action: string, ticket: string): string {
  return `<form method="post" action="${escaped(action)}"><input type="hidden" name="ticket" value="${escaped(ticket)}"><button>Continue</button></form>`
}

export const headers: Readonly<Record<string, string>> = {
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'; base-uri 'none'",
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
}

function escaped(text: string): string {
  return text.replaceAll(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`)
}
