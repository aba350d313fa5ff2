export const en = {
  // The frame
  chat: "Chat", arena: "Arena", reports: "Reports", status: "Status",
  menu: "Menu", close: "Close", cancel: "Cancel", save: "Save", skip: "Skip to content",
  language: "Language", theme: "Theme", themeSystem: "As the system", themeLight: "Light",
  themeDark: "Dark", navigation: "Navigation",
  unreachable: "The server cannot be reached. Trying again…",
  quota: "This browser's storage is full: new messages are not kept. Export and delete conversations.",
  storageFailed: "This browser does not keep conversations ({reason}). Export what you want to keep.",
  keyTitle: "API key", keyWanted: "This server needs an API key. It stays in this browser.",
  keyWrong: "The server does not know this key.", keyForget: "Forget the key",
  copy: "Copy", copied: "Copied", loading: "Loading…", tryAgain: "Try again", remove: "Delete",

  // Conversations
  newChat: "New chat", conversations: "Conversations", noConversations: "Nothing yet.",
  untitled: "Untitled", rename: "Rename", renameTo: "New name", removeConversation:
    "Delete “{title}”?", actions: "Actions", exportMarkdown: "Export as Markdown",
  exportJson: "Export as JSON", exportAll: "Export all", importFile: "Import",
  importFailed: "This file holds no conversations of Tandem.", search: "Search",

  // Chat
  you: "You", model: "Model", noModel: "no model", adapterOf: "{model} with adapter {adapter}",
  greeting: "What can I help with?", greetingHint: "{model} runs on your own server. Nothing is sent elsewhere.",
  message: "Message", placeholder: "Write a message",
  sendHint: "Enter sends, Shift+Enter starts a new line, Esc stops",
  send: "Send", stop: "Stop", edit: "Edit", regenerate: "Regenerate", answerOf: "Answer of {model}",
  previousBranch: "Previous version", nextBranch: "Next version", branch: "Version {n} of {count}",
  waiting: "Thinking…", loadingModel: "Loading the model…",
  stopped: "Stopped", cut: "Cut at max. tokens", firstToken: "{time} to first token",
  rate: "{rate} tokens/s", tokens: "{n} tokens", cached: "{n} of {all} prompt tokens from the cache",
  context: "Context", contextUse: "{used} of {size} tokens of context",
  contextFull: "The conversation no longer fits: start a new one, or shorten it.",
  sample1: "Why is the sky blue?", sample2: "Write a Python function that counts the words of a text.",
  sample3: "List three sea animals, one per line.", sample4: "What is 17 × 6? Show the steps.",

  // Settings of a conversation
  settings: "Settings", system: "System prompt", systemHint: "How the model should answer",
  sampling: "Sampling", samplingHint: "Empty: as the model's own defaults say.",
  temperature: "Temperature", top_p: "Top-p", top_k: "Top-k", min_p: "Min-p",
  repetition_penalty: "Repetition penalty", max_tokens: "Max. tokens", seed: "Seed",
  temperatureHint: "0 always takes the likeliest token", reset: "Reset",
  defaultValue: "default",

  // Errors
  errorTitle: "No answer", errorLost: "The connection broke off.",
  errorUnreachable: "The server cannot be reached.",
  remedyUnreachable: "Is tandem serve still running?",
  remedyContext: "Shorten the conversation, or serve the model with a larger --context.",
  remedyQueue: "Too many requests are waiting. Try again in a moment.",
  remedyMemory: "Serve fewer or smaller models, or with a larger --memory.",
  remedyTimeout: "The answer took longer than --timeout allows. Set max. tokens lower.",
  remedyKey: "Enter an API key that the server knows.",
  remedyShutdown: "The server is shutting down.",

  // Arena
  arenaIntro: "One prompt, two models. Judge the answers, and see who wins.",
  blind: "Blind", blindHint: "Names stay hidden until you vote; sides are shuffled",
  modelA: "Left model", modelB: "Right model", answerA: "Answer A", answerB: "Answer B",
  arenaPlaceholder: "Ask both", newRound: "New round", vote: "Which answer is better?",
  voteA: "A is better", voteB: "B is better", voteTie: "Tie", voteBad: "Both bad",
  voted: "Noted", tally: "Tally", tallyEmpty: "No votes yet. They stay in this browser.",
  wins: "wins", ties: "ties", bothBad: "both bad",
  tallyShare: "{name} wins {share} of {n} decided (95%: {low} to {high})",
  tallyUndecided: "no decided votes yet", tallyVotes: "{n} votes", exportCsv: "Export CSV",
  clearVotes: "Delete all votes", clearVotesSure: "Delete all votes?",
  sameModels: "Choose two different models, or give them different settings.",
  oneModel: "The arena needs two models: start tandem serve with two.",
  sideSettings: "Settings of this side", roundN: "Turn {n}",
};
