export const proto = `
syntax = "proto3";
package shop;
enum Kind { SMALL = 0; LARGE = 1; }
message Query { string id = 1; }
message Item { string id = 1; int64 count = 2; Kind kind = 3; repeated string tags = 4; }
service Stock {
  rpc Get(Query) returns (Item) { option idempotency_level = NO_SIDE_EFFECTS; }
  rpc Put(Query) returns (Item);
  rpc List(Query) returns (stream Item);
  rpc Chat(stream Query) returns (Item);
}
`
