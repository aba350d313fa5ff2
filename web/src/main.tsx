import { render } from "preact";
import { App } from "./app";
import { keepConversations } from "./chat/conversations";
import { keepConnected } from "./lib/connection";
import { applyPreferences } from "./lib/preferences";
import "./styles/base.css";
import "./styles/frame.css";
import "./styles/chat.css";
import "./styles/prose.css";
import "./styles/arena.css";
import "./styles/reports.css";
import "./styles/status.css";

applyPreferences();
keepConnected();
keepConversations();
render(<App />, document.getElementById("app")!);
