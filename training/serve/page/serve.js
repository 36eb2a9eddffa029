/* The page of `dcclip serve`: words find pictures of a folder, labels name a picture. */

import { showAnswers } from "./answers.js";
import { onPicture } from "./picture_input.js";

const element = (id) => document.getElementById(id);
const PAUSE_MILLISECONDS = 250;
// What is asked about, `{image: data URL}` or `{number}`, and how much may be sent.
let question, limits;

async function ask(path, options) {
  const answer = await fetch(path, options);
  const body = await answer.json().catch(() => ({ error: `${answer.status} ${answer.statusText}` }));
  if (!answer.ok) throw new Error(body.error);
  return body;
}

/** `work` after a pause in the calls; what it shows is shown only for the latest call. */
function calmly(work, show, fail) {
  let timer;
  let latest = 0;
  return () => {
    const mine = ++latest;
    clearTimeout(timer);
    timer = setTimeout(async () => {
      try {
        const found = await work();
        if (mine === latest) show(found);
      } catch (error) {
        if (mine === latest) fail(error);
      }
    }, PAUSE_MILLISECONDS);
  };
}

function tell(place, text, isError = false) {
  element(place).textContent = text;
  element(place).classList.toggle("error", isError);
}

const search = calmly(
  () => {
    const text = element("text").value.trim();
    return text ? ask(`search?text=${encodeURIComponent(text)}`) : { pictures: [] };
  },
  ({ pictures }) => {
    element("pictures").replaceChildren(...pictures.map(tile));
    tell("found", pictures.length ? `the nearest ${pictures.length}, the nearest first` : "");
  },
  (error) => tell("found", error.message, true),
);

function tile({ number, path, cosine }) {
  const [button, image, name] = ["button", "img", "span"].map((kind) => document.createElement(kind));
  Object.assign(image, { loading: "lazy", src: `thumbnails/${number}`, alt: path });
  name.textContent = `${cosine.toFixed(2)} ${path}`;
  button.title = path;
  button.append(image, name);
  button.addEventListener("click", () => {
    show(image.src, { number });
    element("status").scrollIntoView({ block: "nearest" });
  });
  return button;
}

const classify = calmly(
  async () => {
    const labels = [...new Set(element("labels").value.split("\n").map((line) => line.trim()))].filter(Boolean);
    const body = JSON.stringify({ ...question, labels });
    const { scores } = await ask("classify", { method: "POST", headers: { "Content-Type": "application/json" }, body });
    return labels.map((label, at) => ({ label, score: scores[at] }));
  },
  (answers) => {
    showAnswers(element("answers"), answers);
    tell("status", `${answers.length} labels`);
  },
  (error) => {
    element("answers").replaceChildren();
    tell("status", error.message, true);
  },
);

function show(address, asked) {
  question = asked;
  element("preview").src = address;
  element("preview").hidden = false;
  element("hint").hidden = true;
  classify();
}

onPicture(element("picture"), element("drop"), (file) => {
  if (file.size > limits.upload_bytes) {
    tell("status", `the picture has more than ${limits.upload_bytes / 2 ** 20} MB`, true);
    return;
  }
  const reader = new FileReader();
  reader.addEventListener("load", () => show(URL.createObjectURL(file), { image: reader.result }));
  reader.readAsDataURL(file);
});
element("text").addEventListener("input", search);
element("labels").addEventListener("input", () => question && classify());

try {
  const about = await ask("about");
  limits = about.limits;
  const skipped = Object.entries(about.folder?.skipped ?? {}).map(([why, count]) => `${count} ${why}`);
  const folder = about.folder && `${about.folder.pictures} pictures of ${about.folder.name}`;
  tell("about", [about.model, folder, skipped.length && `passed over: ${skipped.join(", ")}`].filter(Boolean).join(" · "));
  element("finder").hidden = element("orfound").hidden = !about.folder;
  document.body.dataset.ready = "yes";
} catch (error) {
  tell("about", error.message, true);
}
