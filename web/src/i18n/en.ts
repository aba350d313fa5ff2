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
  keyWrong: "The server does not know this key.",
  copy: "Copy", copied: "Copied", loading: "Loading…", tryAgain: "Try again", remove: "Delete",

  // Conversations
  newChat: "New chat", conversations: "Conversations", noConversations: "Nothing yet.",
  untitled: "Untitled", rename: "Rename", renameTo: "New name", removeConversation:
    "Delete “{title}”?", actions: "Actions", exportMarkdown: "Export as Markdown",
  exportJson: "Export as JSON", exportAll: "Export all", importFile: "Import",
  importFailed: "This file holds no conversations of Tandem.",

  // Chat
  you: "You", model: "Model", noModel: "no model", adapterOf: "{model} with adapter {adapter}",
  greeting: "What can I help with?", greetingHint: "{model} runs on your own server. Nothing is sent elsewhere.",
  message: "Message", placeholder: "Write a message",
  sendHint: "Enter sends, Shift+Enter starts a new line, Esc stops",
  send: "Send", stop: "Stop", edit: "Edit", regenerate: "Regenerate", answerOf: "Answer of {model}",
  previousBranch: "Previous version", nextBranch: "Next version", branch: "Version {n} of {count}",
  waiting: "Thinking…",
  stopped: "Stopped", cut: "Cut at max. tokens", firstToken: "{time} to first token",
  rate: "{rate} tokens/s", tokens: "{n} tokens", cached: "{n} of {all} prompt tokens from the cache",
  context: "Context", contextUse: "{used} of {size} tokens of context",
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
  ties: "ties", bothBad: "both bad",
  tallyShare: "{name} won {share} of {n} decided (95%: {low} to {high})",
  tallyUndecided: "no decided votes yet", tallyVotes: "{n} votes", exportCsv: "Export CSV",
  clearVotes: "Delete all votes", clearVotesSure: "Delete all votes?",
  anyModel: "Any model (drawn by lot)",
  sameModels: "Choose two different models, or give them different settings.",
  oneModel: "The arena needs two models: start tandem serve with two.",
  sideSettings: "Settings of this side", 

  // Reports
  reportsIntro: "Comparisons of two models: what tandem compare wrote.",
  noRuns: "There is no report yet. Make one:", items: "{n} items", partial: "partial",
  noStore: "The server was given no folder with reports. Make one, and name the folder above it:",
  notListed: "{n} older reports are not listed.",
  wholeReport: "Whole report", saveReport: "Save the whole report", scores: "Scores",
  advice: "Which for what", speedAndSize: "Speed and size", answers: "Answers", filter: "Filter",
  allItems: "All", onlyDifferent: "Different verdicts", onlyRight: "Only {name} right",
  neitherRight: "Neither right", right: "right", wrong: "wrong", notAsked: "not asked",
  reference: "Reference", rightOf: "{n} of {all} right", noDifference: "No difference shown",
  better: "{name} is better", neither: "Neither",
  notMeasured: "Not measured", dimInstruction: "Instructions", dimMath: "Mathematics",
  dimCode: "Code", dimStructured: "Tables and JSON", dimLatency: "Speed and memory",
  dimAll: "All together",
  family: "Family", parameters: "Parameters", weights: "Weights",
  firstTokenTime: "Time to first token", promptRate: "Prompt, tokens/s",
  answerRate: "Answer, tokens/s", loadTime: "Loading", peakMemory: "Peak memory",

  // Status
  load: "Load", requests: "requests", runningRequests: "Running", waitingRequests: "Waiting",
  speed: "Speed", tokensPerSecond: "tokens/s", interToken: "Time between tokens",
  cacheUse: "KV cache in use", memory: "Memory", cacheHits: "Cached prompts",
  residentMemory: "Resident memory", models: "Models", notLoaded: "loaded when it is asked for",
  answersGiven: "Answers", machine: "Tandem {version} on {cpu}, {cpus} CPUs, {memory}, {system}",
};
