// Sentences in the language of the page. `{% upload_assets %}` puts Django's translations into the
// page; without them, the sentences are the English ones that the code has.

const ENGLISH = { language: "en", texts: {}, plurals: "" };

let catalogue = ENGLISH;

/**
 * `texts` is a translation for each English sentence, or a list of its plural forms. `plurals` has
 * a digit for each number below 200, which is the form that goes with it. From 100 on, they repeat.
 */
export function setCatalogue(given) {
  catalogue = { ...ENGLISH, ...given };
}

/** Read what `{% upload_assets %}` put into the page, if it did. */
export function readCatalogue(root = document) {
  const element = root.getElementById("djust-upload-texts");
  if (element) setCatalogue(JSON.parse(element.textContent));
}

export function language() {
  return catalogue.language;
}

/** The language, if the page said which it is: the server answers in that one. */
export function pageLanguage() {
  return catalogue === ENGLISH ? undefined : catalogue.language;
}

/** The translation of an English sentence, or the sentence itself. */
export function gettext(sentence) {
  return catalogue.texts[sentence] ?? sentence;
}

/** The form of a sentence that goes with a number. */
export function ngettext(singular, plural, count) {
  const forms = catalogue.texts[singular];
  if (!Array.isArray(forms)) return count === 1 ? singular : plural;
  const position = count < 200 ? count : 100 + count % 100;
  return forms[Number(catalogue.plurals[position])];
}

/** Put values into the places of a sentence: "{name} is uploaded." */
export function fill(sentence, values) {
  return sentence.replaceAll(/\{(\w+)\}/g, (place, name) => values[name] ?? place);
}
