/* Zero-shot image classification in Chinese and English, in the browser alone.
 *
 *     import { createClassifier } from "./classifier.js";
 *
 *     const classifier = await createClassifier("model/", { onProgress: (share) => bar.value = share });
 *     const answers = await classifier.classify(file, ["lemon", "柠檬", "a man"]);
 *     // [{ label: "lemon", score: 0.81 }, ...] in the order of the labels
 *
 * `url` is the folder that export_student writes, or a copy of it. Nothing but its files is fetched.
 */

import { fetchModel } from "./download.js";
import { decode, toPixels } from "./pixels.js";
import { makeTokenizer } from "./tokens.js";
import * as ort from "./vendor/ort.wasm.bundle.min.mjs";

export const MAX_LABELS = 1_000;
const LABELS_AT_ONCE = 32;
// Vectors of labels that were asked before are kept, about 10 MB of them.
const MAX_KEPT = 5_000;

ort.env.wasm.wasmPaths = { wasm: new URL("./vendor/ort-wasm-simd-threaded.wasm", import.meta.url).href };
ort.env.logLevel = "error";

/**
 * A classifier of the exported pair below `url`.
 *
 * `precision` is "int8" (11 MB with the demo's student) or "fp32"; `onProgress` is given the share of bytes
 * that have come, 0 to 1. Throws an Error whose message says which file is missing, foreign or broken.
 */
export async function createClassifier(url, { precision = "int8", onProgress = () => {} } = {}) {
  const files = await fetchModel(new URL(url, document.baseURI), precision, onProgress);
  const image = await openTower(files.image, "image");
  const text = await openTower(files.text, "text");
  const tokenize = makeTokenizer(files.tokenizer, files.settings.max_tokens);
  return new Classifier(files.settings, image, text, tokenize);
}

async function openTower(bytes, name) {
  try {
    return await ort.InferenceSession.create(bytes);
  } catch (error) {
    throw new Error(`the ${name} tower is no model that ONNX Runtime can open: ${error.message}`);
  }
}

class Classifier {
  constructor(settings, image, text, tokenize) {
    Object.assign(this, { settings, image, text, tokenize, kept: new Map() });
  }

  /**
   * Scores of each label, probabilities over the labels given, in their order.
   *
   * `picture` is a Blob (a File is one) or ImageData; labels are 1 to MAX_LABELS texts, languages mixed at will.
   */
  async classify(picture, labels) {
    const names = checked(labels);
    const vector = await this.embedImage(picture);
    const logits = (await this.embedTexts(names)).map((row) => this.settings.scale * dot(row, vector));
    const largest = Math.max(...logits);
    const odds = logits.map((logit) => Math.exp(logit - largest));
    const sum = odds.reduce((total, value) => total + value, 0);
    return names.map((label, number) => ({ label, score: odds[number] / sum }));
  }

  /** A unit vector of a picture (Blob, or ImageData, whose transparency is not looked at), Float32Array. */
  async embedImage(picture) {
    const decoded = picture instanceof Blob ? await decode(picture) : picture;
    const side = this.settings.image_size;
    const pixels = new ort.Tensor("float32", toPixels(decoded, this.settings), [1, 3, side, side]);
    return (await this.image.run({ pixel_values: pixels })).vectors.data;
  }

  /** A unit vector a text, Float32Arrays. */
  async embedTexts(texts) {
    const found = new Map(texts.map((text) => [text, this.kept.get(text)]));
    const unknown = [...found.keys()].filter((text) => !found.get(text));
    for (let start = 0; start < unknown.length; start += LABELS_AT_ONCE) {
      const some = unknown.slice(start, start + LABELS_AT_ONCE);
      (await this.run(some)).forEach((vector, number) => found.set(some[number], vector));
      // The page may draw in between.
      await new Promise((resolve) => setTimeout(resolve));
    }
    this.keep(found);
    return texts.map((text) => found.get(text));
  }

  async run(texts) {
    const { ids, mask, length } = this.tokenize(texts);
    const shape = [texts.length, length];
    const feeds = {
      input_ids: new ort.Tensor("int64", ids, shape),
      attention_mask: new ort.Tensor("int64", mask, shape),
    };
    const { data, dims } = (await this.text.run(feeds)).vectors;
    return texts.map((_, row) => data.slice(row * dims[1], (row + 1) * dims[1]));
  }

  keep(found) {
    if (this.kept.size + found.size > MAX_KEPT) this.kept.clear();
    for (const [text, vector] of found) this.kept.set(text, vector);
  }

  /** Give the memory of both towers back. */
  async dispose() {
    await Promise.all([this.image.release(), this.text.release()]);
  }
}

/** Labels without the spaces around them; throws where there are too few, too many, or an empty one. */
function checked(labels) {
  const names = Array.from(labels, (label) => String(label).trim());
  if (!names.length) throw new Error("there are no labels to choose from");
  if (names.length > MAX_LABELS) {
    throw new Error(`${names.length} labels are too many, at most ${MAX_LABELS} can be asked at once`);
  }
  if (names.includes("")) throw new Error("each label must be a text that is not empty");
  return names;
}

function dot(one, other) {
  let sum = 0;
  for (let at = 0; at < one.length; at++) sum += one[at] * other[at];
  return sum;
}
