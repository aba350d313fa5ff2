/* The subcommands: one function and one file each. They return the exit status. */
#ifndef TANDEM_CLI_COMMANDS_H
#define TANDEM_CLI_COMMANDS_H

/* X(name, function, what `tandem` alone says of it), in the order in which it is shown. */
#define TANDEM_COMMANDS(X)                                                                         \
    X("compare", command_compare, "two models side by side: answers judged and timed, a report")   \
    X("run", command_run, "answer a prompt, or chat in the terminal")                              \
    X("serve", command_serve, "an OpenAI-compatible API over HTTP, for one or more models")        \
    X("generate", command_generate, "continue a sequence of token ids")                            \
    X("logits", command_logits, "log-likelihoods and logits of a sequence of token ids")           \
    X("bench", command_bench, "speed of prompt processing and generation")                         \
    X("tokenize", command_tokenize, "text to token ids and back, as JSON lines")                   \
    X("grade", command_grade, "verdicts on answers that exist already; runs no model")             \
    X("template", command_template, "messages to prompt text, through a chat template")            \
    X("inspect", command_inspect, "what is in a checkpoint")                                       \
    X("quantize", command_quantize, "a smaller checkpoint: a GGUF file or a folder")                        \
    X("train", command_train, "train or fine-tune a model, or adapters on one")                    \
    X("merge", command_merge, "a model and its adapters become one model")                         \
    X("train-tokenizer", command_train_tokenizer, "learn a vocabulary from text")                  \
    X("models", command_models, "models that can be named instead of a path")                      \
    X("perplexity", command_perplexity, "how well a model predicts a text; how far from a base")   \
    /* the end */

#define DECLARE_COMMAND(name, function, help) int function(int argc, char **argv);
TANDEM_COMMANDS(DECLARE_COMMAND)
#undef DECLARE_COMMAND

#endif
