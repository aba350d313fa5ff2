/* Tandem: small language models (Qwen2.5, Phi-3) in a C program.
 *
 * The shape of use is that of transformers: load a model with its tokenizer, apply the chat
 * template, tokenize, generate, free.
 *
 *     struct tandem_error err;
 *     tandem_model *model;
 *     if (tandem_model_load("models/qwen", NULL, &model, &err)) die(err.message);
 *     struct tandem_message messages[] = {{"user", "Hello!"}};
 *     char *prompt;
 *     tandem_apply_chat_template(model, messages, 1, 1, &prompt, &err);
 *     int32_t *ids;
 *     size_t n_ids;
 *     tandem_tokenize(model, prompt, strlen(prompt), 0, &ids, &n_ids, &err);
 *     struct tandem_generation_options options;
 *     tandem_generation_options_init(model, &options);
 *     tandem_generate(model, ids, n_ids, &options, print_piece, NULL, NULL, &err);
 *     tandem_free(ids);
 *     tandem_free(prompt);
 *     tandem_model_free(model);
 *
 * Every function that can fail returns an enum tandem_status, TANDEM_OK being 0, and describes a
 * failure in the caller's struct tandem_error, which may be NULL. After a failure, outputs are
 * NULL or 0. All text is UTF-8. Token ids are int32_t, from 0 to vocab_size - 1; lengths of text
 * are in bytes, of token sequences in tokens, of time in seconds.
 *
 * A model may be used by any number of threads at the same time: their generations share the
 * steps of one background thread, and do not change each other's results.
 */
#ifndef TANDEM_H
#define TANDEM_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TANDEM_API __attribute__((visibility("default")))

enum tandem_status {
    TANDEM_OK = 0,
    TANDEM_INVALID,     /* an argument is wrong */
    TANDEM_FORMAT,      /* a file is truncated, corrupt or malformed */
    TANDEM_UNSUPPORTED, /* well-formed, but something that Tandem does not do */
    TANDEM_IO,          /* the operating system refused */
    TANDEM_MEMORY,      /* out of memory */
    TANDEM_LIMIT,       /* does not fit: a prompt longer than the context, a document too deep */
    TANDEM_CANCELLED,
    TANDEM_NOT_FOUND, /* no such file, or the model has no such part */
};

/* Filled by a call that fails; untouched by one that succeeds. */
struct tandem_error {
    enum tandem_status status;
    char message[1000]; /* one sentence: the place, what was expected, what was found */
};

/* "0.1.0" */
TANDEM_API const char *tandem_version(void);

/* Frees text and ids that this library gave out; NULL is allowed. */
TANDEM_API void tandem_free(void *block);

/* --- Models --- */

typedef struct tandem_model tandem_model;

/* A LoRA adapter: a folder as PEFT writes it, for the model that is loaded or one of its shape. */
struct tandem_adapter {
    const char *path;
    double scale; /* 1: as it was trained; 0: without effect */
};

struct tandem_load_options {
    size_t struct_size;    /* set by tandem_load_options_init() */
    size_t n_threads;      /* 0: one per CPU */
    size_t context_length; /* most tokens of one sequence, prompt and answer; 0: the model's, as far
                              as its cache fits in half of the free memory */
    size_t max_sequences;  /* generations that run at once, the others wait; 0: 8 */
    const char *kv_type;   /* of the KV cache: "f16" (NULL), "f32" or "q8_0" */
    const struct tandem_adapter *adapters; /* [n_adapters] added to the weights, all at once */
    size_t n_adapters;
    const char *quantize;  /* "NF4", "Q4_0", "Q8_0" ...: quantizes F32, F16 and BF16 weights as they
                              are loaded; NULL: as they are stored */
    const char *speculate; /* "auto" (NULL), "off", "always": tokens are guessed and computed ahead,
                              which changes the time that answers take and nothing else */
    const char *draft;     /* path of a small model of the same vocabulary that guesses; opened, and
                              freed with the model; NULL: guesses come from repeated text alone */
};
/* Every option at its default. */
TANDEM_API void tandem_load_options_init(struct tandem_load_options *options);

/* Opens a folder of a Hugging Face checkpoint or a .gguf file, with its tokenizer and chat template
 * (a checkpoint without them opens; what needs them then fails with TANDEM_NOT_FOUND). Weights stay
 * memory-mapped. options NULL: the defaults. The caller frees *model with tandem_model_free(). */
TANDEM_API enum tandem_status tandem_model_load(const char *path,
                                                const struct tandem_load_options *options,
                                                tandem_model **model, struct tandem_error *err);
/* No other call on the model may be running. NULL is allowed. */
TANDEM_API void tandem_model_free(tandem_model *model);

struct tandem_model_info {
    const char *name;        /* lives as long as the model */
    const char *weight_type; /* "BF16", "Q4_K": of most weights; lives forever */
    size_t n_parameters, weight_bytes;
    size_t vocab_size;
    size_t context_length;       /* most tokens of one sequence, as loaded */
    size_t model_context_length; /* what the model was made for */
    size_t n_threads;
};
TANDEM_API void tandem_model_get_info(const tandem_model *model, struct tandem_model_info *info);

/* --- Text --- */

struct tandem_message {
    const char *role; /* "system", "user", "assistant", ... */
    const char *content;
};

/* What the model's chat template makes of the messages [n_messages]; with add_generation_prompt the
 * beginning of the assistant's turn is added. The caller frees *prompt (NUL-terminated) with
 * tandem_free(). TANDEM_NOT_FOUND where the model has no template, TANDEM_INVALID where the
 * template refuses the messages. */
TANDEM_API enum tandem_status tandem_apply_chat_template(const tandem_model *model,
                                                         const struct tandem_message *messages,
                                                         size_t n_messages,
                                                         int add_generation_prompt, char **prompt,
                                                         struct tandem_error *err);
/* The same for messages as a JSON array of objects (with tool calls, lists of parts, ...), and
 * tools as a JSON array or NULL. */
TANDEM_API enum tandem_status
tandem_apply_chat_template_json(const tandem_model *model, const char *messages_json,
                                const char *tools_json, int add_generation_prompt, char **prompt,
                                struct tandem_error *err);

enum tandem_text_flags {
    TANDEM_ADD_SPECIAL = 1,  /* tokenize: add bos and eos where the tokenizer is set up to. Not for
                                what a chat template made: it writes its special tokens itself. */
    TANDEM_PLAIN_TEXT = 2,   /* tokenize: special tokens in the text are ordinary characters */
    TANDEM_SKIP_SPECIAL = 4, /* detokenize: leave special tokens out */
};

/* Text [length bytes] to *ids [*n_ids], which the caller frees with tandem_free(). */
TANDEM_API enum tandem_status tandem_tokenize(const tandem_model *model, const char *text,
                                              size_t length, unsigned flags, int32_t **ids,
                                              size_t *n_ids, struct tandem_error *err);
/* ids [n_ids] to *text, NUL-terminated, of *length bytes (length may be NULL); the caller frees it
 * with tandem_free(). */
TANDEM_API enum tandem_status tandem_detokenize(const tandem_model *model, const int32_t *ids,
                                                size_t n_ids, unsigned flags, char **text,
                                                size_t *length, struct tandem_error *err);

/* --- Generation --- */

struct tandem_generation_options {
    size_t struct_size; /* set by tandem_generation_options_init() */
    size_t max_tokens;  /* of the answer; 0: up to the context's end */

    int do_sample;      /* 0: greedy, the fields from temperature to seed are ignored */
    double temperature; /* above 0 */
    int64_t top_k;      /* 0: off */
    double top_p;       /* 1: off */
    double min_p;       /* 0: off */
    uint64_t seed;      /* the same seed, the same answer */

    double repetition_penalty;                  /* 1: off; over prompt and answer */
    double frequency_penalty, presence_penalty; /* 0: off; -2 to 2; over the answer */

    const char *const *stops; /* [n_stops] the answer ends before the first of these strings */
    size_t n_stops;
    int ignore_eos;        /* nonzero: end tokens are tokens like others */
    int want_logprobs;     /* nonzero: fill logprob in the pieces */
    size_t n_top_logprobs; /* alternatives in the pieces, at most 20 */
};
/* The model's own defaults (generation_config.json); NULL for greedy. */
TANDEM_API void tandem_generation_options_init(const tandem_model *model,
                                               struct tandem_generation_options *options);

/* What one token adds. Pointers live until the callback returns. */
struct tandem_piece {
    const char *text; /* NUL-terminated, whole characters; may be empty: a token can be a part of a
                         character, and what could begin a stop string is held back */
    size_t text_length;
    int32_t token; /* -1 for the last piece, when text was held back */
    float logprob; /* natural logarithm, of the model's own distribution; 0 unless asked for */
    const int32_t *top_tokens; /* [n_top] most probable first */
    const float *top_logprobs; /* [n_top] */
    size_t n_top;
};
/* Called in the thread that called tandem_generate(). A nonzero result ends the generation. */
typedef int tandem_piece_callback(const struct tandem_piece *piece, void *user_data);

enum tandem_finish {
    TANDEM_FINISH_EOS = 1,   /* an end token, which is not part of the answer */
    TANDEM_FINISH_STOP,      /* a stop string */
    TANDEM_FINISH_LENGTH,    /* max_tokens, or the context is full */
    TANDEM_FINISH_CANCELLED, /* the callback asked for it */
};

struct tandem_result {
    enum tandem_finish finish;
    size_t prompt_tokens, cached_tokens; /* cached: taken over from an earlier prompt */
    size_t answer_tokens;
    size_t guessed_tokens, accepted_tokens; /* computed ahead, and those of them that were right */
    double first_token_seconds;             /* from the call to the first token */
    double decode_seconds;                  /* from the first token to the last */
    double total_seconds;
};

/* Continues prompt [n_prompt] and returns when the answer has ended. options NULL: as
 * tandem_generation_options_init() fills them. callback and result may be NULL. TANDEM_LIMIT for a
 * prompt that does not fit, with the numbers in the message; being stopped by the callback is
 * TANDEM_OK. */
TANDEM_API enum tandem_status
tandem_generate(tandem_model *model, const int32_t *prompt, size_t n_prompt,
                const struct tandem_generation_options *options, tandem_piece_callback *callback,
                void *user_data, struct tandem_result *result, struct tandem_error *err);

#ifdef __cplusplus
}
#endif

#endif
