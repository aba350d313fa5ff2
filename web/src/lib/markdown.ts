// Markdown of models to HTML that is safe to show. What models write is untrusted: raw HTML is
// shown as text, links lead to the web only, nothing is loaded. DOMPurify checks the result again,
// and the server's Content-Security-Policy stands behind that.
import DOMPurify from "dompurify";
import { Marked, type Token } from "marked";

export type { Token };

const HARMLESS_HTML = /^<\/?(?:br|sub|sup|kbd|u)\s*\/?>$/i;
const WEB_ADDRESS = /^(?:https?:\/\/|mailto:)/i;

const escapeHtml = (text: string): string =>
  text.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);

function link(href: string, html: string): string {
  return WEB_ADDRESS.test(href.trim()) ? `<a href="${escapeHtml(href.trim())}">${html}</a>` : html;
}

const marked = new Marked({
  gfm: true,
  breaks: true,
  renderer: {
    html: ({ text }) => (HARMLESS_HTML.test(text.trim()) ? text : escapeHtml(text)),
    link({ href, tokens }) {
      return link(href, this.parser.parseInline(tokens));
    },
    image: ({ href, text }) => link(href, escapeHtml(text || href)),
  },
});

const allowed = {
  ALLOWED_TAGS: [
    "a",
    "b",
    "blockquote",
    "br",
    "code",
    "del",
    "em",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "hr",
    "kbd",
    "li",
    "ol",
    "p",
    "pre",
    "strong",
    "sub",
    "sup",
    "table",
    "tbody",
    "td",
    "th",
    "thead",
    "tr",
    "u",
    "ul",
  ],
  ALLOWED_ATTR: ["align", "href", "rel", "start", "target"],
  ALLOW_DATA_ATTR: false,
  ALLOW_ARIA_ATTR: false,
  ALLOWED_URI_REGEXP: WEB_ADDRESS,
  ADD_URI_SAFE_ATTR: ["align"], // else it would have to be an address
};

DOMPurify.addHook("afterSanitizeAttributes", (node) => {
  if (node.tagName !== "A") return;
  node.setAttribute("target", "_blank");
  node.setAttribute("rel", "noopener noreferrer nofollow");
});

// The blocks of a text. While it streams in, only the last one changes.
export const parseBlocks = (text: string): Token[] => marked.lexer(text);

export const toHtml = (tokens: Token[]): string =>
  DOMPurify.sanitize(marked.parser(tokens), allowed);
