/* A picture from a file field, a drop or the clipboard. */

/** Call `take` with each picture file (a File) that the person gives; `field` lies within `area`. */
export function onPicture(field, area, take) {
  const first = (files) => {
    if (files.length) take(files[0]);
  };
  field.addEventListener("change", () => first(field.files));
  document.addEventListener("paste", (event) => first(event.clipboardData.files));
  for (const name of ["dragover", "drop", "dragleave"]) {
    document.addEventListener(name, (event) => {
      event.preventDefault();
      area.classList.toggle("over", name === "dragover");
      if (name === "drop") first(event.dataTransfer.files);
    });
  }
}
