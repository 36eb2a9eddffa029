/* The page: a picture and labels in, bars out. What it does with them is classifier.js's. */

import { createClassifier } from "./classifier.js";
import { onPicture } from "./picture_input.js";
import { showAnswers } from "./answers.js";

const element = (id) => document.getElementById(id);
const { model, precision } = document.body.dataset;
// Typing goes on for a while; each pause is asked.
const PAUSE_MILLISECONDS = 250;

let classifier, picture, timer;
// The answer of an older question must not replace that of a newer one.
let question = 0;

function tell(text, isError = false) {
  element("status").textContent = text;
  element("status").classList.toggle("error", isError);
}

async function ask() {
  if (!classifier || !picture) return;
  const mine = ++question;
  const labels = [...new Set(element("labels").value.split("\n").map((line) => line.trim()))].filter(Boolean);
  try {
    const start = performance.now();
    const answers = await classifier.classify(picture, labels);
    if (mine !== question) return;
    showAnswers(element("answers"), answers);
    tell(`${labels.length} labels in ${Math.round(performance.now() - start)} ms, on this device`);
  } catch (error) {
    if (mine !== question) return;
    element("answers").replaceChildren();
    tell(error.message, true);
  }
}

onPicture(element("picture"), element("drop"), (file) => {
  picture = file;
  URL.revokeObjectURL(element("preview").src);
  element("preview").src = URL.createObjectURL(file);
  element("preview").hidden = false;
  element("hint").hidden = true;
  ask();
});

element("labels").addEventListener("input", () => {
  clearTimeout(timer);
  timer = setTimeout(ask, PAUSE_MILLISECONDS);
});

try {
  const wanted = new URLSearchParams(location.search).get("precision") ?? precision;
  const onProgress = (share) => (element("progress").value = share);
  classifier = await createClassifier(model, { precision: wanted, onProgress });
  tell("Ready: choose a picture. 请选择图片。");
  document.body.dataset.ready = "yes";
  await ask();
} catch (error) {
  tell(error.message, true);
} finally {
  element("progress").hidden = true;
}
