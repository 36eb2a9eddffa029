/* Texts as the text tower takes them, by the student's own tokenizer.json. */

import { Tokenizer } from "./vendor/tokenizers.min.mjs";

/** A function texts -> {ids, mask, length}: BigInt64Arrays (texts, length), cut after `maxTokens` tokens. */
export function makeTokenizer(json, maxTokens) {
  const tokenizer = new Tokenizer(json, {});
  const pad = BigInt(json.model.vocab["[PAD]"]);
  return (texts) => {
    const rows = texts.map((text) => cut(tokenizer.encode(text).ids, maxTokens));
    const length = Math.max(...rows.map((row) => row.length));
    const ids = new BigInt64Array(rows.length * length).fill(pad);
    const mask = new BigInt64Array(rows.length * length);
    rows.forEach((row, number) => {
      ids.set(row.map(BigInt), number * length);
      mask.fill(1n, number * length, number * length + row.length);
    });
    return { ids, mask, length };
  };
}

/** The last token marks the end, and stays. */
function cut(ids, maxTokens) {
  return ids.length > maxTokens ? [...ids.slice(0, maxTokens - 1), ids.at(-1)] : ids;
}
