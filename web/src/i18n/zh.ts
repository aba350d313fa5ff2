import type { Words } from ".";

export const zh: Words = {
  // The frame
  chat: "对话", arena: "竞技场", reports: "报告", status: "状态",
  menu: "菜单", close: "关闭", cancel: "取消", save: "保存", skip: "跳到正文",
  language: "语言", theme: "外观", themeSystem: "跟随系统", themeLight: "浅色",
  themeDark: "深色", navigation: "导航",
  unreachable: "无法连接服务器，正在重试…",
  quota: "浏览器存储空间已满，新消息不会保存。请导出并删除一些对话。",
  storageFailed: "浏览器无法保存对话（{reason}）。请导出需要保留的内容。",
  keyTitle: "API 密钥", keyWanted: "此服务器需要 API 密钥。密钥只保存在本浏览器中。",
  keyWrong: "服务器不认识这个密钥。",
  copy: "复制", copied: "已复制", loading: "加载中…", tryAgain: "重试", remove: "删除",

  // Conversations
  newChat: "新对话", conversations: "对话列表", noConversations: "暂无对话。",
  untitled: "未命名", rename: "重命名", renameTo: "新名称",
  removeConversation: "删除“{title}”？", actions: "操作", exportMarkdown: "导出为 Markdown",
  exportJson: "导出为 JSON", exportAll: "全部导出", importFile: "导入",
  importFailed: "此文件中没有 Tandem 的对话。",

  // Chat
  you: "你", model: "模型", noModel: "没有模型", adapterOf: "{model}，适配器 {adapter}",
  greeting: "有什么可以帮你？", greetingHint: "{model} 运行在你自己的服务器上，内容不会发往别处。",
  message: "消息", placeholder: "输入消息",
  sendHint: "Enter 发送，Shift+Enter 换行，Esc 停止",
  send: "发送", stop: "停止", edit: "编辑", regenerate: "重新生成", answerOf: "{model} 的回答",
  previousBranch: "上一个版本", nextBranch: "下一个版本", branch: "第 {n} 个版本，共 {count} 个",
  waiting: "思考中…",
  stopped: "已停止", cut: "达到最大长度", firstToken: "首词 {time}",
  rate: "{rate} 词元/秒", tokens: "{n} 个词元", cached: "{all} 个提示词元中 {n} 个来自缓存",
  context: "上下文", contextUse: "上下文已用 {used} / {size} 个词元",
  sample1: "天空为什么是蓝色的？", sample2: "写一个 Python 函数，统计一段文字的词数。",
  sample3: "列出三种海洋动物，每行一个。", sample4: "17 × 6 等于多少？请写出步骤。",

  // Settings of a conversation
  settings: "设置", system: "系统提示", systemHint: "希望模型如何回答",
  sampling: "采样", samplingHint: "留空则使用模型自带的默认值。",
  temperature: "温度", top_p: "Top-p", top_k: "Top-k", min_p: "Min-p",
  repetition_penalty: "重复惩罚", max_tokens: "最多词元", seed: "随机种子",
  temperatureHint: "0 表示总取最可能的词元", reset: "重置",
  defaultValue: "默认",

  // Errors
  errorTitle: "没有得到回答", errorLost: "连接中断。",
  errorUnreachable: "无法连接服务器。",
  remedyUnreachable: "tandem serve 还在运行吗？",
  remedyContext: "请缩短对话，或用更大的 --context 启动服务。",
  remedyQueue: "排队的请求太多，请稍后再试。",
  remedyMemory: "请减少或换用更小的模型，或调大 --memory。",
  remedyTimeout: "回答超过了 --timeout 的时限，请调低最多词元。",
  remedyKey: "请输入服务器认识的 API 密钥。",
  remedyShutdown: "服务器正在关闭。",

  // Arena
  arenaIntro: "同一个问题，两个模型。评判回答，看谁更好。",
  blind: "盲评", blindHint: "投票前隐藏名称，并随机左右位置",
  modelA: "左侧模型", modelB: "右侧模型", answerA: "回答 A", answerB: "回答 B",
  arenaPlaceholder: "同时问两个模型", newRound: "新一轮", vote: "哪个回答更好？",
  voteA: "A 更好", voteB: "B 更好", voteTie: "平手", voteBad: "都不好",
  voted: "已记录", tally: "统计", tallyEmpty: "还没有投票。投票只保存在本浏览器中。",
  ties: "平", bothBad: "都不好",
  tallyShare: "{n} 次分出胜负中，{name} 胜 {share}（95% 区间 {low} 至 {high}）",
  tallyUndecided: "还没有分出胜负的投票", tallyVotes: "{n} 票", exportCsv: "导出 CSV",
  clearVotes: "删除所有投票", clearVotesSure: "删除所有投票？",
  anyModel: "任意模型（随机抽取）",
  sameModels: "请选择两个不同的模型，或为两边设置不同的参数。",
  oneModel: "竞技场需要两个模型：请用两个模型启动 tandem serve。",
  sideSettings: "此侧设置", 

  // Reports
  reportsIntro: "两个模型的对比，由 tandem compare 写出。",
  noRuns: "还没有报告。可以这样生成一份：", items: "{n} 题", partial: "不完整",
  noStore: "服务器没有指定报告文件夹。先生成一份报告，再指定它的上级文件夹：",
  notListed: "另有 {n} 份较早的报告未列出。",
  wholeReport: "完整报告", saveReport: "保存完整报告", scores: "得分",
  advice: "各场景的选择", speedAndSize: "速度与大小", answers: "回答", filter: "筛选",
  allItems: "全部", onlyDifferent: "结果不同", onlyRight: "仅 {name} 答对",
  neitherRight: "都没答对", right: "正确", wrong: "错误", notAsked: "未提问",
  reference: "参考答案", rightOf: "{all} 题对 {n} 题", noDifference: "未显示出差异",
  better: "{name} 更好", neither: "都不合适",
  notMeasured: "未测量", dimInstruction: "指令遵循", dimMath: "数学",
  dimCode: "代码", dimStructured: "表格与 JSON", dimLatency: "速度与内存",
  dimAll: "总计",
  family: "系列", parameters: "参数量", weights: "权重",
  firstTokenTime: "首词时间", promptRate: "提示处理，词元/秒",
  answerRate: "生成，词元/秒", loadTime: "加载", peakMemory: "内存峰值",

  // Status
  load: "负载", requests: "请求", runningRequests: "进行中", waitingRequests: "排队中",
  speed: "速度", tokensPerSecond: "词元/秒", interToken: "词元间隔",
  cacheUse: "KV 缓存占用", memory: "内存", cacheHits: "提示缓存命中",
  residentMemory: "常驻内存", models: "模型", notLoaded: "首次使用时加载",
  answersGiven: "回答数", machine: "Tandem {version}，{cpu}，{cpus} 个 CPU，{memory}，{system}",
};
