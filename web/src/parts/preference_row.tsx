import { useWords } from "../i18n";
import { keyWanted } from "../lib/api";
import { apiKey, language, theme, type Theme } from "../lib/preferences";
import { useStore } from "../lib/store";
import { IconButton } from "./icon_button";

const order: Theme[] = ["system", "light", "dark"];
const icons = { system: "screen", light: "sun", dark: "moon" } as const;

// Language, theme, and the API key where one is in use.
export function PreferenceRow() {
  const words = useWords();
  const chosen = useStore(theme);
  const spoken = useStore(language);
  const key = useStore(apiKey);
  const names = { system: words.themeSystem, light: words.themeLight, dark: words.themeDark };
  return (
    <div class="preferences">
      <IconButton
        icon={icons[chosen]}
        label={`${words.theme}: ${names[chosen]}`}
        onClick={() => theme.set(order[(order.indexOf(chosen) + 1) % order.length])}
      />
      {key && <IconButton icon="key" label={words.keyTitle} onClick={() => keyWanted.set(true)} />}
      <div class="switch" role="group" aria-label={words.language}>
        <button
          type="button"
          lang="en"
          aria-pressed={spoken === "en"}
          onClick={() => language.set("en")}
        >
          English
        </button>
        <button
          type="button"
          lang="zh-CN"
          aria-pressed={spoken === "zh"}
          onClick={() => language.set("zh")}
        >
          中文
        </button>
      </div>
    </div>
  );
}
