import { useState } from "preact/hooks";
import { fill, useWords } from "../i18n";
import { fileName, saveFile } from "../lib/files";
import { addressOf, go, place } from "../lib/place";
import { useStore } from "../lib/store";
import { Dialog } from "../parts/dialog";
import { Icon } from "../parts/icon";
import { Menu } from "../parts/menu";
import { conversations, discard, put, update } from "./conversations";
import { stop } from "./answer";
import { fromJson, toJson, toMarkdown } from "./transfer";
import type { Conversation } from "./tree";

interface Asked {
  what: "rename" | "remove";
  conversation: Conversation;
}

function RenameForm({ conversation, onDone }: { conversation: Conversation; onDone: () => void }) {
  const words = useWords();
  const [title, setTitle] = useState(conversation.title);
  const save = (event: Event) => {
    event.preventDefault();
    update(conversation.id, (c) => ({ ...c, title: title.trim() }));
    onDone();
  };
  return (
    <form onSubmit={save}>
      <input
        aria-label={words.renameTo}
        value={title}
        autoFocus
        onInput={(event) => setTitle(event.currentTarget.value)}
      />
      <div class="row end">
        <button type="button" onClick={onDone}>
          {words.cancel}
        </button>
        <button type="submit" class="primary">
          {words.save}
        </button>
      </div>
    </form>
  );
}

function RemoveForm({ conversation, onDone }: { conversation: Conversation; onDone: () => void }) {
  const words = useWords();
  const removeIt = () => {
    stop(conversation.id);
    discard(conversation.id);
    onDone();
    if (place.get().id === conversation.id) go("chat");
  };
  return (
    <div class="row end">
      <button type="button" onClick={onDone}>
        {words.cancel}
      </button>
      <button type="button" class="danger" onClick={removeIt}>
        {words.remove}
      </button>
    </div>
  );
}

function pickFile(onText: (text: string) => void): void {
  const input = document.createElement("input");
  input.type = "file";
  input.accept = "application/json,.json";
  input.onchange = async () => {
    if (input.files?.[0]) onText(await input.files[0].text());
  };
  input.click();
}

export function ConversationList() {
  const words = useWords();
  const all = useStore(conversations);
  const here = useStore(place);
  const [asked, setAsked] = useState<Asked | null>(null);
  const [importFailed, setImportFailed] = useState(false);
  const list = Object.values(all).sort((a, b) => b.updated - a.updated);
  const titleOf = (c: Conversation) => c.title || words.untitled;
  const take = (text: string) => {
    try {
      fromJson(text).forEach(put);
      setImportFailed(false);
    } catch {
      setImportFailed(true);
    }
  };
  const commands = (c: Conversation) => [
    { label: words.rename, run: () => setAsked({ what: "rename", conversation: c }) },
    {
      label: words.exportMarkdown,
      run: () =>
        saveFile(
          `${fileName(c.title)}.md`,
          "text/markdown",
          toMarkdown(c, { user: words.you, system: words.system }),
        ),
    },
    {
      label: words.exportJson,
      run: () => saveFile(`${fileName(c.title)}.json`, "application/json", toJson([c])),
    },
    {
      label: words.remove,
      isDangerous: true,
      run: () => setAsked({ what: "remove", conversation: c }),
    },
  ];
  const done = () => setAsked(null);
  return (
    <section class="conversations" aria-label={words.conversations}>
      <header>
        <h2>{words.conversations}</h2>
        <a
          class="icon-button"
          href={addressOf("chat")}
          aria-label={words.newChat}
          title={words.newChat}
        >
          <Icon name="plus" />
        </a>
        <Menu
          label={words.conversations}
          items={[
            { label: words.importFile, run: () => pickFile(take) },
            {
              label: words.exportAll,
              run: () => saveFile("tandem-conversations.json", "application/json", toJson(list)),
            },
          ]}
        />
      </header>
      {importFailed && (
        <p class="note error" role="alert">
          {words.importFailed}
        </p>
      )}
      {list.length === 0 && <p class="hint">{words.noConversations}</p>}
      <ul>
        {list.map((c) => (
          <li key={c.id} class={here.part === "chat" && here.id === c.id ? "is-current" : ""}>
            <a
              href={addressOf("chat", c.id)}
              aria-current={here.part === "chat" && here.id === c.id ? "page" : undefined}
            >
              {titleOf(c)}
            </a>
            <Menu label={`${words.actions}: ${titleOf(c)}`} items={commands(c)} />
          </li>
        ))}
      </ul>
      {asked?.what === "rename" && (
        <Dialog title={words.rename} onClose={done}>
          <RenameForm conversation={asked.conversation} onDone={done} />
        </Dialog>
      )}
      {asked?.what === "remove" && (
        <Dialog
          title={fill(words.removeConversation, { title: titleOf(asked.conversation) })}
          onClose={done}
        >
          <RemoveForm conversation={asked.conversation} onDone={done} />
        </Dialog>
      )}
    </section>
  );
}
