// Finding the header of a file in an unknown format.

import assert from "node:assert/strict";
import { test } from "node:test";

import { headerOf } from "../assets/imports/columns.js";

test("the header of a file is its first row with the most cells", () => {
  assert.deepEqual(headerOf("My broker\r\n\r\nDay;Paper;Paid\r\n1;2;3,50\r\n"), ["Day", "Paper", "Paid"]);
  assert.deepEqual(headerOf("Day\tPaper\n1\t2\n"), ["Day", "Paper"]);
});

test("a cell in quotes may have the separator in it", () => {
  assert.deepEqual(headerOf('"Day","Price, USD",Side\n1,2,Buy\n'), ["Day", "Price, USD", "Side"]);
});

test("a column without a name, or of a name that was there, is not offered", () => {
  assert.deepEqual(headerOf("Day,,Day,Side\n"), ["Day", "Side"]);
});

test("what is no table has no header", () => {
  assert.deepEqual(headerOf("Hello"), []);
  assert.deepEqual(headerOf(""), []);
});
