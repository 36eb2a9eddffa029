/* The files of an exported pair, fetched with a share of the bytes as progress. */

const PAIRS = {
  int8: { image: "image.int8.onnx", text: "text.int8.onnx" },
  fp32: { image: "image.onnx", text: "text.onnx" },
};

/** {settings, tokenizer, image, text}: two parsed JSON files and two ONNX files as bytes. */
export async function fetchModel(folder, precision, onProgress) {
  if (!PAIRS[precision]) throw new Error(`precision is "int8" or "fp32", not ${JSON.stringify(precision)}`);
  const paths = { settings: "onnx.json", tokenizer: "student/tokenizer.json", ...PAIRS[precision] };
  const answers = await Promise.all(Object.values(paths).map((path) => ask(new URL(path, folder))));
  const progress = makeProgress(answers, onProgress);
  const bodies = await Promise.all(answers.map((answer) => read(answer, progress)));
  const files = Object.fromEntries(Object.keys(paths).map((name, number) => [name, bodies[number]]));
  const { settings, tokenizer, image, text } = files;
  return { settings: checkedSettings(parse(settings, paths)), tokenizer: parse(tokenizer, paths), image, text };
}

async function ask(address) {
  const answer = await fetch(address).catch((error) => {
    throw new Error(`cannot fetch ${address}: ${error.message}`);
  });
  if (!answer.ok) throw new Error(`cannot fetch ${address}: ${answer.status} ${answer.statusText}`);
  return answer;
}

/** A function that is told of bytes; quiet where a server does not say how many there are. */
function makeProgress(answers, onProgress) {
  const sizes = answers.map((answer) => !answer.headers.get("content-encoding") && answer.headers.get("content-length"));
  const total = sizes.every(Boolean) ? sizes.reduce((sum, size) => sum + Number(size), 0) : 0;
  let come = 0;
  return (bytes) => {
    come += bytes;
    if (total) onProgress(Math.min(1, come / total));
  };
}

async function read(answer, progress) {
  const chunks = [];
  const reader = answer.body.getReader();
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    chunks.push(part.value);
    progress(part.value.length);
  }
  return new Uint8Array(await new Blob(chunks).arrayBuffer());
}

function parse(bytes, paths) {
  try {
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    throw new Error(`${paths.settings} or ${paths.tokenizer} is no JSON: is this an export of dcclip?`);
  }
}

function checkedSettings(settings) {
  const numbers = [settings.image_size, settings.max_tokens, settings.scale];
  const lists = [settings.mean, settings.std];
  const whole = numbers.every(Number.isFinite) && lists.every((list) => Array.isArray(list) && list.length === 3);
  if (!whole) throw new Error("onnx.json lacks what an export of dcclip has");
  if (settings.resample !== "bicubic") throw new Error(`onnx.json asks to resize by ${settings.resample}, not bicubic`);
  return settings;
}
