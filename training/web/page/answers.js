/* Labels with their scores as bars, the best first. */

const MAX_SHOWN = 20;

/** Fill `list` (an ol) with at most MAX_SHOWN of `answers`, [{label, score}]. */
export function showAnswers(list, answers) {
  const best = [...answers].sort((one, other) => other.score - one.score).slice(0, MAX_SHOWN);
  list.replaceChildren(
    ...best.map(({ label, score }) => {
      const [item, name, number, bar] = ["li", "span", "span", "meter"].map((kind) => document.createElement(kind));
      name.textContent = label;
      number.textContent = `${(100 * score).toFixed(1)}%`;
      bar.value = score;
      item.append(name, number, bar);
      return item;
    }),
  );
}
