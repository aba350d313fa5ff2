#include "formats/hf_config.h"
#include "base/size.h"
#include "base/vocab_source.h"
#include "formats/internal.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

/* Far above any model of these families; small enough that no product overflows. */
enum { MAX_DIM = 1 << 24, MAX_LAYERS = 4096, MAX_HEADS = 1 << 16, MAX_VOCAB = 1 << 27 };

struct reader {
    const char *name;
    const json_t *config;
    const json_t *rope; /* rope_parameters or rope_scaling; may be NULL */
    struct error *err;  /* sticky: the first message stays */
};

/* A whole number from `low` to `high`; `fallback` 0: the field must be there. */
static size_t get_size(struct reader *r, const json_t *object, const char *key, size_t low,
                       size_t high, size_t fallback)
{
    int64_t value = json_get_int(object, key, fallback ? (int64_t)fallback : -1, r->err);
    if (r->err->status)
        return low;
    const json_t *found = json_object_get(object, key);
    if (!fallback && (!found || json_is_null(found)))
        error_set(r->err, STATUS_FORMAT, "\"%s\" is missing", key);
    else if (value < (int64_t)low || (uint64_t)value > high)
        error_set(r->err, STATUS_FORMAT, "\"%s\" is %" PRId64 "; expected %zu to %zu", key, value,
                  low, high);
    else
        return (size_t)value;
    return low;
}

static void unsupported(struct reader *r, const char *key, const char *value, const char *expected)
{
    if (!r->err->status)
        error_set(r->err, STATUS_UNSUPPORTED, "\"%s\" is \"%.100s\"; supported: %s", key, value,
                  expected);
}

static const struct {
    enum family family;
    const char *model_type, *architecture;
} families[] = {
    {FAMILY_QWEN2, "qwen2", "Qwen2ForCausalLM"},
    {FAMILY_PHI3, "phi3", "Phi3ForCausalLM"},
};

static enum family read_family(struct reader *r)
{
    static const char known[] = "qwen2 (Qwen2ForCausalLM) and phi3 (Phi3ForCausalLM)";
    const json_t *list = json_object_get(r->config, "architectures");
    const char *architecture = json_string_value(json_array_get(list, 0));
    const char *type = json_get_string(r->config, "model_type", NULL, r->err);
    for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
        bool type_fits = type && !strcmp(type, families[i].model_type);
        bool fits = architecture && !strcmp(architecture, families[i].architecture);
        if ((fits || !architecture) && (type_fits || !type) && (type || architecture))
            return families[i].family;
    }
    if (architecture)
        unsupported(r, "architectures", architecture, known);
    else
        unsupported(r, "model_type", type ? type : "(missing)", known);
    return FAMILY_QWEN2;
}

/* Fields that change the arithmetic and that neither family's released checkpoints use. */
static void refuse_features(struct reader *r, enum family family)
{
    const char *act = json_get_string(r->config, "hidden_act", "silu", r->err);
    if (strcmp(act, "silu"))
        unsupported(r, "hidden_act", act, "silu");
    if (family == FAMILY_PHI3 && json_get_bool(r->config, "attention_bias", false, r->err))
        unsupported(r, "attention_bias", "true", "false");
    const json_t *quantization = json_object_get(r->config, "quantization_config");
    const char *method = json_get_string(quantization, "quant_method", "(unnamed)", r->err);
    if (json_is_object(quantization) && strcmp(method, "bitsandbytes"))
        unsupported(r, "quantization_config", method,
                    "bitsandbytes, checkpoints in F32, F16 or BF16, and quantized ones as GGUF");
}

static void read_shape(struct reader *r, struct hyperparameters *h)
{
    const json_t *c = r->config;
    h->dim = get_size(r, c, "hidden_size", 1, MAX_DIM, 0);
    h->ffn_dim = get_size(r, c, "intermediate_size", 1, MAX_DIM, 0);
    h->n_layers = get_size(r, c, "num_hidden_layers", 1, MAX_LAYERS, 0);
    h->n_heads = get_size(r, c, "num_attention_heads", 1, MAX_HEADS, 0);
    h->n_kv_heads = get_size(r, c, "num_key_value_heads", 1, MAX_HEADS, h->n_heads);
    h->vocab_size = get_size(r, c, "vocab_size", 1, MAX_VOCAB, 0);
    h->context_length = get_size(r, c, "max_position_embeddings", 1, INT32_MAX,
                                 h->family == FAMILY_QWEN2 ? 32768 : 4096);
    h->rms_norm_eps =
        json_get_number(c, "rms_norm_eps", h->family == FAMILY_QWEN2 ? 1e-6 : 1e-5, r->err);
    h->tied_embeddings = json_get_bool(c, "tie_word_embeddings", false, r->err);
    size_t head_dim = h->dim / h->n_heads;
    if (!r->err->status && !json_object_get(c, "head_dim") && h->dim % h->n_heads)
        error_set(r->err, STATUS_FORMAT, "\"hidden_size\" %zu is not a multiple of %zu heads",
                  h->dim, h->n_heads);
    h->head_dim = get_size(r, c, "head_dim", 1, MAX_DIM, head_dim ? head_dim : 1);
}

/* The newer way to say which layers have the window: a list of names. Its first windowed layer,
 * when every later one has it too. */
static size_t first_windowed(struct reader *r, const json_t *types, size_t n_layers)
{
    size_t first = n_layers;
    if (json_array_size(types) != n_layers)
        error_set(r->err, STATUS_FORMAT, "\"layer_types\" has %zu entries for %zu layers",
                  json_array_size(types), n_layers);
    for (size_t i = 0; i < json_array_size(types) && !r->err->status; i++) {
        const char *type = json_string_value(json_array_get(types, i));
        bool windowed = type && !strcmp(type, "sliding_attention");
        if (!windowed && (!type || strcmp(type, "full_attention")))
            unsupported(r, "layer_types", type ? type : "(not a string)",
                        "full_attention, sliding_attention");
        else if (windowed && first == n_layers)
            first = i;
        else if (!windowed && first < n_layers)
            unsupported(r, "layer_types", "mixed", "full attention first, windows after it");
    }
    return first;
}

static void read_window(struct reader *r, struct hyperparameters *h)
{
    const json_t *c = r->config, *types = json_object_get(c, "layer_types");
    bool used = h->family == FAMILY_PHI3 || json_get_bool(c, "use_sliding_window", false, r->err);
    int64_t window = json_get_int(c, "sliding_window", 0, r->err);
    if (!used)
        return;
    if (window < 0 || window > INT32_MAX)
        error_set(r->err, STATUS_FORMAT, "\"sliding_window\" is %" PRId64 "; expected 0 to %d",
                  window, INT32_MAX);
    h->sliding_window = (size_t)window;
    if (h->family == FAMILY_PHI3 || !window || r->err->status)
        return;
    size_t first = get_size(r, c, "max_window_layers", 0, INT32_MAX, 28);
    if (json_is_array(types))
        first = first_windowed(r, types, h->n_layers);
    h->first_window_layer = size_min(first, h->n_layers);
    if (h->first_window_layer == h->n_layers)
        h->sliding_window = h->first_window_layer = 0;
}

static void read_factors(struct reader *r, const char *key, size_t n, double *factors)
{
    const json_t *list = json_object_get(r->rope, key);
    if (r->err->status)
        return;
    if (!json_is_array(list) || json_array_size(list) != n) {
        error_set(r->err, STATUS_FORMAT, "\"%s\" of rope_scaling has %zu entries; expected %zu",
                  key, json_array_size(list), n);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        const json_t *value = json_array_get(list, i);
        if (!json_is_number(value)) {
            error_set(r->err, STATUS_FORMAT, "\"%s\" of rope_scaling: entry %zu is not a number",
                      key, i);
            return;
        }
        factors[i] = json_number_value(value);
    }
}

static void read_longrope(struct reader *r, const struct hyperparameters *h,
                          struct rope_parameters *rope)
{
    size_t original = get_size(r, r->rope, "original_max_position_embeddings", 1, INT32_MAX, 4096);
    original = get_size(r, r->config, "original_max_position_embeddings", 1, INT32_MAX, original);
    rope->kind = ROPE_LONGROPE;
    rope->original_context = original;
    rope->factor = (double)h->context_length / (double)original;
    if (rope->rotary_dim <= 2 * MAX_ROTARY_PAIRS) {
        read_factors(r, "short_factor", rope->rotary_dim / 2, rope->short_factor);
        read_factors(r, "long_factor", rope->rotary_dim / 2, rope->long_factor);
    }
}

static double or_default(double value, double fallback)
{
    return value == 0 ? fallback : value;
}

static void read_yarn(struct reader *r, const struct hyperparameters *h,
                      struct rope_parameters *rope)
{
    rope->kind = ROPE_YARN;
    rope->original_context =
        get_size(r, r->rope, "original_max_position_embeddings", 1, INT32_MAX, h->context_length);
    rope->factor = json_get_number(r->rope, "factor", 0, r->err);
    rope->beta_fast = or_default(json_get_number(r->rope, "beta_fast", 32, r->err), 32);
    rope->beta_slow = or_default(json_get_number(r->rope, "beta_slow", 1, r->err), 1);
    if (!json_get_bool(r->rope, "truncate", true, r->err))
        unsupported(r, "truncate", "false", "true");
    if (json_get_number(r->rope, "mscale", 0, r->err) != 0)
        unsupported(r, "mscale", "set", "yarn without it");
}

static void read_scaling(struct reader *r, const struct hyperparameters *h,
                         struct rope_parameters *rope)
{
    const char *type = json_get_string(r->rope, "type", "default", r->err);
    type = json_get_string(r->rope, "rope_type", type, r->err);
    rope->attention_factor = json_get_number(r->rope, "attention_factor", 0, r->err);
    bool phi3 = h->family == FAMILY_PHI3;
    if (!strcmp(type, "default")) {
        rope->kind = ROPE_DEFAULT;
    } else if (!strcmp(type, "linear")) {
        rope->kind = ROPE_LINEAR;
        rope->factor = json_get_number(r->rope, "factor", 0, r->err);
    } else if (!strcmp(type, "longrope") || !strcmp(type, "su") ||
               (phi3 && !strcmp(type, "yarn"))) {
        read_longrope(r, h, rope); /* what Phi-3 calls yarn is longrope by another name */
    } else if (!strcmp(type, "yarn")) {
        read_yarn(r, h, rope);
    } else {
        unsupported(r, "rope_type", type, "default, linear, yarn, longrope");
    }
}

static void read_rope(struct reader *r, struct hyperparameters *h)
{
    const json_t *scaling = json_object_get(r->config, "rope_scaling");
    r->rope = json_object_get(r->config, "rope_parameters");
    if (!json_is_object(r->rope))
        r->rope = json_is_object(scaling) ? scaling : NULL;
    else if (json_object_get(r->rope, "full_attention"))
        unsupported(r, "rope_parameters", "one set per type of layer", "one set for all layers");
    struct rope_parameters *rope = &h->rope;
    rope->theta = json_get_number(r->config, "rope_theta", 10000, r->err);
    rope->theta = json_get_number(r->rope, "rope_theta", rope->theta, r->err);
    double partial = json_get_number(r->config, "partial_rotary_factor", 1, r->err);
    partial = json_get_number(r->rope, "partial_rotary_factor", partial, r->err);
    if (!r->err->status && !(partial > 0 && partial <= 1))
        error_set(r->err, STATUS_FORMAT,
                  "\"partial_rotary_factor\" is %g; expected more than 0 and at most 1", partial);
    if (r->err->status)
        return;
    rope->rotary_dim = (size_t)((double)h->head_dim * partial);
    read_scaling(r, h, rope);
}

enum status hf_config_read(const char *name, const json_t *config, struct hyperparameters *h,
                           struct error *err)
{
    struct error local = {0};
    struct reader r = {.name = name, .config = config, .err = &local};
    *h = (struct hyperparameters){0};
    if (!json_is_object(config))
        return error_set(err, STATUS_FORMAT, "%s should hold a JSON object", name);
    h->family = read_family(&r);
    if (!local.status) {
        refuse_features(&r, h->family);
        read_shape(&r, h);
        read_window(&r, h);
        read_rope(&r, h);
    }
    if (local.status)
        return error_set(err, local.status, "%s: %s", name, local.message);
    return hyperparameters_check(h, name, err);
}

static void add_eos(struct generation_defaults *g, const json_t *value, struct error *err)
{
    if (err->status)
        return;
    int64_t id = json_is_integer(value) ? json_integer_value(value) : -1;
    if (id < 0 || id > INT32_MAX)
        error_set(err, STATUS_FORMAT, "\"eos_token_id\" should be a token id or a list of them");
    else if (g->n_eos_ids == MAX_EOS_IDS)
        error_set(err, STATUS_LIMIT, "\"eos_token_id\" lists more than %d ids", MAX_EOS_IDS);
    else
        g->eos_ids[g->n_eos_ids++] = (int32_t)id;
}

/* Older checkpoints say -1 for "none". */
static int32_t get_id(const json_t *object, const char *key, int32_t fallback, struct error *err)
{
    int64_t id = json_get_int(object, key, fallback, err);
    if (id > INT32_MAX && !err->status)
        error_set(err, STATUS_FORMAT, "\"%s\" is %" PRId64 ", which is no token id", key, id);
    return id < 0 || id > INT32_MAX ? VOCAB_NO_ID : (int32_t)id;
}

static enum status read_ids(const char *name, const json_t *object, struct generation_defaults *g,
                            struct error *err)
{
    struct error local = {0};
    const json_t *eos = json_object_get(object, "eos_token_id"), *value;
    size_t i;
    g->bos_id = get_id(object, "bos_token_id", g->bos_id, &local);
    g->pad_id = get_id(object, "pad_token_id", g->pad_id, &local);
    if (eos && !json_is_null(eos))
        g->n_eos_ids = 0;
    if (json_is_array(eos))
        json_array_foreach(eos, i, value) add_eos(g, value, &local);
    else if (eos && !json_is_null(eos))
        add_eos(g, eos, &local);
    return local.status ? error_set(err, local.status, "%s: %s", name, local.message) : STATUS_OK;
}

static enum status read_sampling(const char *name, const json_t *object,
                                 struct generation_defaults *g, struct error *err)
{
    struct error local = {0};
    g->do_sample = json_get_bool(object, "do_sample", false, &local);
    g->temperature = json_get_number(object, "temperature", 1, &local);
    g->top_p = json_get_number(object, "top_p", 1, &local);
    g->min_p = json_get_number(object, "min_p", 0, &local);
    g->repetition_penalty = json_get_number(object, "repetition_penalty", 1, &local);
    /* null switches it off, where an absent field means transformers' own default. */
    bool off = json_is_null(json_object_get(object, "top_k"));
    g->top_k = json_get_int(object, "top_k", off ? 0 : 50, &local);
    g->max_new_tokens = json_get_int(object, "max_new_tokens", 0, &local);
    if (local.status)
        return error_set(err, local.status, "%s: %s", name, local.message);
    return generation_defaults_check(g, name, err);
}

enum status hf_generation_read(const char *generation_name, const json_t *generation,
                               const char *config_name, const json_t *config,
                               struct generation_defaults *g, struct error *err)
{
    *g = generation_defaults_none();
    enum status status = config ? read_ids(config_name, config, g, err) : STATUS_OK;
    if (status || !generation)
        return status;
    if (!json_is_object(generation))
        return error_set(err, STATUS_FORMAT, "%s should hold a JSON object", generation_name);
    status = read_ids(generation_name, generation, g, err);
    return status ? status : read_sampling(generation_name, generation, g, err);
}
