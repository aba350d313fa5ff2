// The page's words. English defines the keys; the compiler holds other languages to them.
import { language } from "../lib/preferences";
import { useStore } from "../lib/store";
import { en } from "./en";
import { zh } from "./zh";

export type Words = Record<keyof typeof en, string>;

const languages: Record<"en" | "zh", Words> = { en, zh };

export const useWords = (): Words => languages[useStore(language)];

// "{n} of {all}" with its values; "{s}" is the plural's letter for n.
export const fill = (text: string, values: Record<string, string | number>): string =>
  text.replace(/\{(\w+)\}/g, (whole, name: string) =>
    name === "s" ? (values.n === 1 ? "" : "s") : String(values[name] ?? whole),
  );
