#include "serve/api_request.h"
#include "base/memory.h"
#include "serve/api_fields.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- Fields with a form of their own --- */

static bool read_seed(void *target, const char *name, const json_t *value, struct api_error *error)
{
    struct api_request *r = target;
    if (!json_is_integer(value))
        return field_wrong_type(name, "an integer", error);
    r->has_seed = true;
    r->seed = (uint64_t)json_integer_value(value);
    return true;
}

static bool add_stop(struct api_request *r, const json_t *value, struct api_error *error)
{
    const char *text = json_string_value(value);
    if (!text || !*text || strlen(text) != json_string_length(value))
        return api_refuse(error, 400, "invalid_value", "stop",
                          "\"stop\" must be a string, or a list of strings, none of them empty");
    if (r->n_stops == MAX_STOPS)
        return api_refuse(error, 400, "invalid_value", "stop",
                          "\"stop\" lists more than %d strings", MAX_STOPS);
    r->stops[r->n_stops++] = text;
    return true;
}

static bool read_stop(void *target, const char *name, const json_t *value, struct api_error *error)
{
    size_t i;
    const json_t *item;
    (void)name;
    if (!json_is_array(value))
        return add_stop(target, value, error);
    json_array_foreach(value, i, item) if (!add_stop(target, item, error)) return false;
    return true;
}

static bool read_bias(const char *key, const json_t *value, struct logit_bias *bias)
{
    char *end;
    errno = 0;
    long id = strtol(key, &end, 10);
    if (errno || end == key || *end || id < 0 || id > INT32_MAX || !json_is_number(value) ||
        fabs(json_number_value(value)) > 100)
        return false;
    *bias = (struct logit_bias){(int32_t)id, (float)json_number_value(value)};
    return true;
}

static bool read_logit_bias(void *target, const char *name, const json_t *value,
                            struct api_error *error)
{
    struct api_request *r = target;
    const char *key;
    json_t *item;
    if (!json_is_object(value))
        return field_wrong_type(name, "an object of token ids and numbers", error);
    size_t n = json_object_size(value);
    if (n > MAX_BIASES)
        return api_refuse(error, 400, "invalid_value", name, "\"%s\" has %zu entries; at most %d",
                          name, n, MAX_BIASES);
    r->logit_bias = mem_array(n, sizeof *r->logit_bias);
    if (!r->logit_bias)
        return api_refuse(error, 503, "out_of_memory", name, "out of memory for \"%s\"", name);
    json_object_foreach((json_t *)(uintptr_t)value, key, item)
    {
        if (!read_bias(key, item, &r->logit_bias[r->n_logit_bias++]))
            return api_refuse(error, 400, "invalid_value", name,
                              "\"%s\" must give token ids, as strings, biases from -100 to 100",
                              name);
    }
    return true;
}

static bool read_stream_options(void *target, const char *name, const json_t *value,
                                struct api_error *error)
{
    static const struct field fields[] = {
        {"include_usage", FIELD_BOOL, .offset = offsetof(struct api_request, include_usage)},
        {"include_obfuscation", FIELD_IGNORED},
        {0}};
    return fields_read(fields, ~0u, value, name, target, error);
}

/* A text, a list of texts, the token ids of one prompt, or a list of such lists. */
static bool read_prompt(void *target, const char *name, const json_t *value,
                        struct api_error *error)
{
    struct api_request *r = target;
    bool is_list = json_is_array(value) && json_array_size(value) > 0;
    if (!json_is_string(value) && !is_list)
        return field_wrong_type(name, "a string, or a list of strings or of token ids", error);
    r->prompt = value;
    if (is_list && !json_is_integer(json_array_get(value, 0)))
        r->n_prompts = json_array_size(value);
    if (r->n_prompts > MAX_PROMPTS)
        return api_refuse(error, 400, "invalid_value", name, "\"%s\" lists %zu prompts; at most %d",
                          name, r->n_prompts, MAX_PROMPTS);
    return true;
}

static bool read_messages(void *target, const char *name, const json_t *value,
                          struct api_error *error)
{
    ((struct api_request *)target)->messages = value;
    return api_check_messages(name, value, error);
}

static bool read_pooling(void *target, const char *name, const json_t *value,
                         struct api_error *error)
{
    const char *word = json_string_value(value);
    bool is_mean = word && !strcmp(word, "mean");
    if (!is_mean && (!word || strcmp(word, "last") != 0))
        return field_wrong_type(name, "\"mean\" or \"last\"", error);
    ((struct api_request *)target)->pooling = is_mean ? POOLING_MEAN : POOLING_LAST;
    return true;
}

static bool read_encoding(void *target, const char *name, const json_t *value,
                          struct api_error *error)
{
    const char *word = json_string_value(value);
    bool is_base64 = word && !strcmp(word, "base64");
    if (!is_base64 && (!word || strcmp(word, "float") != 0))
        return field_wrong_type(name, "\"float\" or \"base64\"", error);
    ((struct api_request *)target)->base64 = is_base64;
    return true;
}

/* Legacy completions: the number of alternatives. */
static bool read_logprob_count(void *target, const char *name, const json_t *value,
                               struct api_error *error)
{
    struct api_request *r = target;
    static const struct field fields[] = {{"logprobs", FIELD_INTEGER,
                                           .offset = offsetof(struct api_request, top_logprobs),
                                           .least = 0, .most = MAX_TOP_LOGPROBS},
                                          {0}};
    r->logprobs = true;
    return field_read(fields, name, value, target, error);
}

struct response_format {
    const char *type, *regex;
    const json_t *json_schema;
};

static const struct field format_fields[] = {
    {"type", FIELD_STRING, .offset = offsetof(struct response_format, type)},
    {"json_schema", FIELD_OBJECT, .offset = offsetof(struct response_format, json_schema)},
    {"regex", FIELD_STRING, .offset = offsetof(struct response_format, regex)},
    {0}};

static bool keep_schema(void *target, const char *name, const json_t *value,
                        struct api_error *error)
{
    ((struct api_request *)target)->schema = value;
    return json_is_object(value) || json_is_boolean(value) ||
           field_wrong_type(name, "a JSON Schema", error);
}

static const struct field schema_fields[] = {{"name", FIELD_IGNORED},
                                             {"description", FIELD_IGNORED},
                                             {"strict", FIELD_IGNORED},
                                             {"schema", FIELD_CUSTOM, .read = keep_schema},
                                             {0}};

static bool read_schema(struct api_request *r, const json_t *json_schema, struct api_error *error)
{
    static const char name[] = "response_format.json_schema";
    return fields_read(schema_fields, ~0u, json_schema, name, r, error) &&
           (r->schema || field_wrong_type(name, "an object with a \"schema\"", error));
}

static bool read_response_format(void *target, const char *name, const json_t *value,
                                 struct api_error *error)
{
    struct api_request *r = target;
    struct response_format format = {0};
    if (!fields_read(format_fields, ~0u, value, name, &format, error))
        return false;
    const char *type = format.type ? format.type : "";
    bool has_schema = !strcmp(type, "json_schema"), has_regex = !strcmp(type, "regex");
    r->must_be_json = has_schema || !strcmp(type, "json_object");
    if (!r->must_be_json && !has_regex && strcmp(type, "text") != 0)
        return field_wrong_type(name, "an object of type text, json_object, json_schema or regex",
                                error);
    if (has_schema != !!format.json_schema || has_regex != !!format.regex)
        return field_wrong_type(name,
                                "one whose \"json_schema\" goes with the type json_schema, and "
                                "\"regex\" with the type regex",
                                error);
    r->regex = format.regex;
    return !has_schema || read_schema(r, format.json_schema, error);
}

/* --- Tools --- */

struct tool {
    const char *type;
    const json_t *function;
};

static const struct field tool_fields[] = {
    {"type", FIELD_STRING, .offset = offsetof(struct tool, type)},
    {"function", FIELD_OBJECT, .offset = offsetof(struct tool, function)},
    {0}};

struct function {
    const char *name, *description;
    const json_t *parameters;
    bool strict;
};

static const struct field function_fields[] = {
    {"name", FIELD_STRING, .offset = offsetof(struct function, name)},
    {"description", FIELD_STRING, .offset = offsetof(struct function, description)},
    {"parameters", FIELD_OBJECT, .offset = offsetof(struct function, parameters)},
    {"strict", FIELD_BOOL, .offset = offsetof(struct function, strict)},
    {0}};

static bool check_tool(const json_t *value, size_t index, struct api_error *error)
{
    struct tool tool = {0};
    struct function function = {0};
    char where[64];
    snprintf(where, sizeof where, "tools[%zu]", index);
    if (!fields_read(tool_fields, ~0u, value, where, &tool, error))
        return false;
    if (!tool.type || strcmp(tool.type, "function") != 0 || !tool.function)
        return api_refuse(error, 400, "invalid_value", where,
                          "\"%s\" must be {\"type\": \"function\", \"function\": {...}}", where);
    snprintf(where, sizeof where, "tools[%zu].function", index);
    if (!fields_read(function_fields, ~0u, tool.function, where, &function, error))
        return false;
    if (!function.name || !*function.name)
        return api_refuse(error, 400, "missing_required_parameter", where, "\"%s\" has no \"name\"",
                          where);
    return true;
}

static bool read_tools(void *target, const char *name, const json_t *value, struct api_error *error)
{
    struct api_request *r = target;
    size_t i;
    const json_t *item;
    if (!json_is_array(value) || json_array_size(value) > MAX_TOOLS)
        return field_wrong_type(name, "a list of at most 128 tools", error);
    json_array_foreach(value, i, item) if (!check_tool(item, i, error)) return false;
    r->tools = json_array_size(value) ? value : NULL;
    return true;
}

static bool read_tool_choice(void *target, const char *name, const json_t *value,
                             struct api_error *error)
{
    static const char *const words[] = {
        [TOOLS_AUTO] = "auto", [TOOLS_NONE] = "none", [TOOLS_REQUIRED] = "required"};
    struct api_request *r = target;
    const char *word = json_string_value(value);
    for (size_t i = 0; word && i < sizeof words / sizeof *words; i++)
        if (!strcmp(word, words[i])) {
            r->tool_choice = (enum tool_choice)i;
            return true;
        }
    const char *type = json_string_value(json_object_get(value, "type"));
    const json_t *function = json_object_get(value, "function");
    r->tool_name = json_string_value(json_object_get(function, "name"));
    r->tool_choice = TOOLS_NAMED;
    if (type && !strcmp(type, "function") && r->tool_name)
        return true;
    return field_wrong_type(name,
                            "\"auto\", \"none\", \"required\" or {\"type\": \"function\", "
                            "\"function\": {\"name\": ...}}",
                            error);
}

static bool read_parallel(void *target, const char *name, const json_t *value,
                          struct api_error *error)
{
    struct api_request *r = target;
    if (!json_is_boolean(value))
        return field_wrong_type(name, "true or false", error);
    r->one_tool_call = json_is_false(value);
    return true;
}

const json_t *api_request_tool(const struct api_request *r, const char *name)
{
    size_t i;
    const json_t *item;
    json_array_foreach(r->tools, i, item)
    {
        const json_t *function = json_object_get(item, "function");
        if (!strcmp(json_string_value(json_object_get(function, "name")), name))
            return function;
    }
    return NULL;
}

static bool check_tools(const struct api_request *r, struct api_error *error)
{
    if (r->tool_choice != TOOLS_AUTO && r->tool_choice != TOOLS_NONE && !r->tools)
        return api_refuse(error, 400, "invalid_value", "tool_choice",
                          "\"tool_choice\" asks for a call, but there are no \"tools\"");
    if (r->tool_choice == TOOLS_NAMED && !api_request_tool(r, r->tool_name))
        return api_refuse(error, 400, "invalid_value", "tool_choice",
                          "\"tool_choice\" names %s, which is not among the \"tools\"",
                          r->tool_name);
    if (r->regex && r->tools && r->tool_choice == TOOLS_AUTO)
        return api_refuse(
            error, 400, "unsupported_value", "response_format",
            "\"response_format\" of type regex cannot stand beside \"tools\" that the "
            "model may call or not; json_schema can, or ask for \"tool_choice\": "
            "\"none\" or \"required\"");
    return true;
}

/* --- Tables --- */

#define AT(member) .offset = offsetof(struct api_request, member)

enum { ANSWER = API_CHAT | API_COMPLETION };

static const struct field fields[] = {
    {"model", FIELD_STRING, AT(model)},
    {"adapter", FIELD_STRING, AT(adapter)},
    {"messages", FIELD_CUSTOM, .kinds = API_CHAT, .read = read_messages},
    {"prompt", FIELD_CUSTOM, .kinds = API_COMPLETION, .read = read_prompt},
    {"n", FIELD_INTEGER, .kinds = ANSWER, AT(n), .least = 1, .most = MAX_CHOICES},
    {"max_tokens", FIELD_INTEGER, .kinds = ANSWER, AT(max_tokens), .least = 1, .most = 1e9},
    {"max_completion_tokens", FIELD_INTEGER, AT(max_tokens), .kinds = API_CHAT, .least = 1,
     .most = 1e9},
    {"stream", FIELD_BOOL, .kinds = ANSWER, AT(stream)},
    {"stream_options", FIELD_CUSTOM, .kinds = ANSWER, .read = read_stream_options},
    {"temperature", FIELD_NUMBER, .kinds = ANSWER, AT(temperature), .least = 0, .most = 2},
    {"top_p", FIELD_NUMBER, .kinds = ANSWER, AT(top_p), .least = 0, .most = 1},
    {"top_k", FIELD_INTEGER, .kinds = ANSWER, AT(top_k), .least = -1, .most = INT32_MAX},
    {"min_p", FIELD_NUMBER, .kinds = ANSWER, AT(min_p), .least = 0, .most = 1},
    {"repetition_penalty", FIELD_NUMBER, .kinds = ANSWER, AT(repetition_penalty), .least = 0.01,
     .most = 100},
    {"frequency_penalty", FIELD_NUMBER, .kinds = ANSWER, AT(frequency_penalty), .least = -2,
     .most = 2},
    {"presence_penalty", FIELD_NUMBER, .kinds = ANSWER, AT(presence_penalty), .least = -2,
     .most = 2},
    {"seed", FIELD_CUSTOM, .kinds = ANSWER, .read = read_seed},
    {"stop", FIELD_CUSTOM, .kinds = ANSWER, .read = read_stop},
    {"logit_bias", FIELD_CUSTOM, .kinds = ANSWER, .read = read_logit_bias},
    {"logprobs", FIELD_BOOL, AT(logprobs), .kinds = API_CHAT},
    {"logprobs", FIELD_CUSTOM, .kinds = API_COMPLETION, .read = read_logprob_count},
    {"top_logprobs", FIELD_INTEGER, AT(top_logprobs), .kinds = API_CHAT, .least = 0,
     .most = MAX_TOP_LOGPROBS},
    {"ignore_eos", FIELD_BOOL, .kinds = ANSWER, AT(ignore_eos)},
    {"response_format", FIELD_CUSTOM, .kinds = ANSWER, .read = read_response_format},
    {"tools", FIELD_CUSTOM, .kinds = API_CHAT, .read = read_tools},
    {"tool_choice", FIELD_CUSTOM, .kinds = API_CHAT, .read = read_tool_choice},
    {"parallel_tool_calls", FIELD_CUSTOM, .kinds = API_CHAT, .read = read_parallel},
    {"input", FIELD_CUSTOM, .kinds = API_EMBEDDING, .read = read_prompt},
    {"pooling", FIELD_CUSTOM, .kinds = API_EMBEDDING, .read = read_pooling},
    {"encoding_format", FIELD_CUSTOM, .kinds = API_EMBEDDING, .read = read_encoding},
    {"dimensions", FIELD_INTEGER, AT(dimensions), .kinds = API_EMBEDDING, .least = 1, .most = 1e6},
    {"user", FIELD_IGNORED},
    {"metadata", FIELD_IGNORED},
    {"safety_identifier", FIELD_IGNORED},
    {"prompt_cache_key", FIELD_IGNORED},
    {"store", FIELD_IGNORED},
    {"service_tier", FIELD_IGNORED},
    {0}};

enum { TOP_K_ABSENT = -2 };

/* --- The whole --- */

const char *api_prompt_field(enum api_kind kind)
{
    return kind == API_CHAT ? "messages" : kind == API_COMPLETION ? "prompt" : "input";
}

static bool check_together(const struct api_request *r, struct api_error *error)
{
    const char *prompt = api_prompt_field(r->kind);
    if (!r->messages && !r->prompt)
        return api_refuse(error, 400, "missing_required_parameter", prompt, "\"%s\" is missing",
                          prompt);
    if (r->top_logprobs > 0 && !r->logprobs)
        return api_refuse(error, 400, "invalid_value", "top_logprobs",
                          "\"top_logprobs\" needs \"logprobs\": true");
    if (r->include_usage && !r->stream)
        return api_refuse(error, 400, "invalid_value", "stream_options",
                          "\"stream_options\" needs \"stream\": true");
    return check_tools(r, error);
}

bool api_request_read(enum api_kind kind, const json_t *document, struct api_request *r,
                      struct api_error *error)
{
    static const int64_t default_tokens[] = {[API_COMPLETION] = 16, [API_EMBEDDING] = 1};
    *r = (struct api_request){.kind = kind,
                              .document = document,
                              .n = 1,
                              .n_prompts = 1,
                              .max_tokens = default_tokens[kind],
                              .pooling = kind == API_EMBEDDING ? POOLING_MEAN : POOLING_NONE,
                              .temperature = NAN,
                              .top_p = NAN,
                              .min_p = NAN,
                              .repetition_penalty = NAN,
                              .top_k = TOP_K_ABSENT};
    return fields_read(fields, kind, document, NULL, r, error) && check_together(r, error);
}

void api_request_free(struct api_request *r)
{
    mem_free(r->logit_bias);
    r->logit_bias = NULL;
}

static bool set(double *value, double asked)
{
    if (!isnan(asked))
        *value = asked;
    return !isnan(asked);
}

struct sampling api_request_sampling(const struct api_request *r, struct sampling s)
{
    bool sampled = set(&s.temperature, r->temperature);
    sampled |= set(&s.top_p, r->top_p);
    sampled |= set(&s.min_p, r->min_p);
    set(&s.repetition_penalty, r->repetition_penalty);
    if (r->top_k != TOP_K_ABSENT) {
        s.top_k = r->top_k > 0 ? r->top_k : 0; /* -1 is what vLLM calls no limit */
        sampled = true;
    }
    if (sampled) /* who names a sampling parameter wants sampling */
        s.greedy = false;
    s.frequency_penalty = r->frequency_penalty;
    s.presence_penalty = r->presence_penalty;
    s.logit_bias = r->logit_bias;
    s.n_logit_bias = r->n_logit_bias;
    s.seed = r->seed;
    return s;
}
