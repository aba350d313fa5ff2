// Colours for code: comments, strings, numbers and the words that most languages reserve.
export type Kind = "comment" | "string" | "number" | "keyword" | "";

const KEYWORDS = new Set(
  `abstract and as assert async await bool boolean break case catch char class const
   continue def default defer del delete do double elif else end enum except export extends
   extern false False final finally float fn for foreach from func function global go if
   impl implements import in int interface is lambda let local long match mod module mut
   namespace new nil None nonlocal not null or package pass private protected pub public
   raise require return select self short signed sizeof static struct super switch then
   this throw throws trait true True try type typedef typeof union unsigned use using var
   virtual void volatile where while with yield SELECT FROM WHERE INSERT UPDATE DELETE JOIN
   ON GROUP BY ORDER AND OR NOT NULL`.split(/\s+/),
);
const HASH_COMMENTS =
  /^(?:py|python|sh|bash|shell|zsh|rb|ruby|ya?ml|toml|r|perl|make|makefile|ini|dockerfile)$/i;
const NO_COLOURS = /^(?:|text|txt|plain|plaintext|csv|md|markdown)$/i;

const DASH_COMMENTS = /^(?:sql|lua|haskell|hs|ada)$/i;

const WORDS =
  String.raw`"""[\s\S]*?(?:"""|$)|"(?:[^"\\\n]|\\.)*"?|'(?:[^'\\\n]|\\.)*'?|` +
  "`(?:[^`\\\\]|\\\\.)*`?" +
  String.raw`|\b\d[\w.]*|[A-Za-z_]\w*`;
const withHash = new RegExp(String.raw`#[^\n]*|` + WORDS, "g");
const withDashes = new RegExp(String.raw`--[^\n]*|` + WORDS, "g");
const withSlashes = new RegExp(String.raw`\/\/[^\n]*|\/\*[\s\S]*?(?:\*\/|$)|` + WORDS, "g");

function patternOf(language: string): RegExp {
  if (HASH_COMMENTS.test(language)) return withHash;
  return DASH_COMMENTS.test(language) ? withDashes : withSlashes;
}

function kindOf(word: string): Kind {
  if (/^["'`]/.test(word)) return "string";
  if (/^\d/.test(word)) return "number";
  if (/^\w/.test(word)) return KEYWORDS.has(word) ? "keyword" : "";
  return "comment";
}

export function highlight(code: string, language: string): [Kind, string][] {
  if (NO_COLOURS.test(language)) return [["", code]];
  const pieces: [Kind, string][] = [];
  let at = 0;
  for (const match of code.matchAll(patternOf(language))) {
    const kind = kindOf(match[0]);
    if (!kind) continue;
    if (match.index > at) pieces.push(["", code.slice(at, match.index)]);
    pieces.push([kind, match[0]]);
    at = match.index + match[0].length;
  }
  pieces.push(["", code.slice(at)]);
  return pieces;
}
