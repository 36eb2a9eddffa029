/* A picture as the image tower takes it: decoded, on white, resized as Pillow resizes, normalised.
 *
 * The resize is Pillow's bicubic with its 22-bit weights (src/libImaging/Resample.c), so that a picture gives
 * the same bytes here and in training; a canvas would shrink it by another rule.
 */

export const MAX_PIXELS = 64_000_000;
export const MAX_BYTES = 64 * 2 ** 20;
// A phone's canvas has no more; a larger picture is halved by the browser first, which shows in no figure.
const MAX_CANVAS_PIXELS = 16_000_000;
const WEIGHT_BITS = 22;
const SUPPORT = 2;

/** A picture file (Blob) as {width, height, data: RGBA bytes}, transparent parts white. */
export async function decode(file) {
  if (file.size > MAX_BYTES) throw new Error(`the picture has more than ${MAX_BYTES / 2 ** 20} MB`);
  const { width, height } = await sizeOf(file);
  const shrink = Math.min(1, Math.sqrt(MAX_CANVAS_PIXELS / (width * height)));
  const options = { colorSpaceConversion: "none", resizeQuality: "high" };
  if (shrink < 1) options.resizeWidth = Math.floor(width * shrink);
  const bitmap = await createImageBitmap(file, options).catch(unreadable);
  try {
    return onWhite(bitmap);
  } finally {
    bitmap.close();
  }
}

/** Width and height, asked before anything is decoded. */
async function sizeOf(file) {
  const address = URL.createObjectURL(file);
  const image = new Image();
  try {
    await new Promise((resolve, reject) => {
      Object.assign(image, { onload: resolve, onerror: reject, src: address });
    }).catch(unreadable);
  } finally {
    URL.revokeObjectURL(address);
  }
  const { naturalWidth: width, naturalHeight: height } = image;
  if (width * height > MAX_PIXELS) {
    throw new Error(`${width} x ${height} pixels are too many, at most ${MAX_PIXELS} are decoded`);
  }
  // A drawing (SVG) may have no size of its own.
  if (!width || !height) unreadable();
  return { width, height };
}

function unreadable() {
  throw new Error("this is no picture that the browser can read");
}

function onWhite(bitmap) {
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.fillStyle = "white";
  context.fillRect(0, 0, bitmap.width, bitmap.height);
  context.drawImage(bitmap, 0, 0);
  return context.getImageData(0, 0, bitmap.width, bitmap.height);
}

/** Float32Array (3, side, side) of `picture`, as onnx.json's `image_size`, `mean` and `std` ask. */
export function toPixels(picture, { image_size: side, mean, std }) {
  const small = resize(picture, side, side);
  const pixels = new Float32Array(3 * side * side);
  for (let channel = 0; channel < 3; channel++) {
    for (let at = 0; at < side * side; at++) {
      const value = Math.fround(small.data[4 * at + channel] / 255);
      pixels[channel * side * side + at] = (value - mean[channel]) / std[channel];
    }
  }
  return pixels;
}

/** Pillow's bicubic resize, one direction after the other, rounded to bytes in between. */
export function resize(picture, newWidth, newHeight) {
  const { width, height } = picture;
  // Which direction comes first shows in the rounding; Pillow's rule since its version 13.
  const tall = height - newHeight > 2 * Math.max(0, width - newWidth);
  return tall
    ? resizeWidth(resizeHeight(picture, newHeight), newWidth)
    : resizeHeight(resizeWidth(picture, newWidth), newHeight);
}

function resizeWidth({ width, height, data }, newWidth) {
  const rows = { lines: height, line: 4 * width, step: 4 };
  const to = { line: 4 * newWidth, step: 4 };
  return { width: newWidth, height, data: resample(data, weightsOf(width, newWidth), rows, to) };
}

function resizeHeight({ width, height, data }, newHeight) {
  const columns = { lines: width, line: 4, step: 4 * width };
  return { width, height: newHeight, data: resample(data, weightsOf(height, newHeight), columns, columns) };
}

/** For every place of the output where its inputs begin, and their weights as integers. */
function weightsOf(length, newLength) {
  const scale = length / newLength;
  const widened = Math.max(1, scale);
  const found = [];
  for (let place = 0; place < newLength; place++) {
    const centre = (place + 0.5) * scale;
    const first = Math.max(0, Math.trunc(centre - SUPPORT * widened + 0.5));
    const last = Math.min(length, Math.trunc(centre + SUPPORT * widened + 0.5));
    const inverse = 1 / widened;
    const plain = [];
    for (let at = first; at < last; at++) plain.push(bicubic((at - centre + 0.5) * inverse));
    const sum = plain.reduce((total, weight) => total + weight, 0);
    const whole = plain.map((weight) => Math.trunc(half(weight) + (weight / sum) * 2 ** WEIGHT_BITS));
    found.push({ first, weights: whole });
  }
  return found;
}

const half = (weight) => (weight < 0 ? -0.5 : 0.5);

/** Keys' kernel with a = -0.5. */
function bicubic(x) {
  const far = Math.abs(x);
  if (far < 1) return ((-0.5 + 2) * far - (-0.5 + 3)) * far * far + 1;
  if (far < 2) return (((far - 5) * far + 8) * far - 4) * -0.5;
  return 0;
}

/** Weighted sums along `step` bytes, for each of `lines` lines that begin `line` bytes apart. */
function resample(data, places, { lines, line, step }, to) {
  const result = new Uint8ClampedArray(4 * lines * places.length);
  for (let number = 0; number < lines; number++) {
    places.forEach(({ first, weights }, place) => {
      for (let channel = 0; channel < 3; channel++) {
        let sum = 2 ** (WEIGHT_BITS - 1);
        let from = number * line + first * step + channel;
        for (let at = 0; at < weights.length; at++, from += step) sum += data[from] * weights[at];
        result[number * to.line + place * to.step + channel] = Math.floor(sum / 2 ** WEIGHT_BITS);
      }
    });
  }
  return result;
}
