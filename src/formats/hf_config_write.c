#include "formats/hf_config_write.h"
#include "base/vocab_source.h"

static void set(json_t *object, const char *key, json_t *value)
{
    json_object_set_new(object, key, value);
}

static void set_size(json_t *object, const char *key, size_t value)
{
    set(object, key, json_integer((json_int_t)value));
}

static void set_id(json_t *object, const char *key, int32_t id)
{
    set(object, key, id == VOCAB_NO_ID ? json_null() : json_integer(id));
}

static void set_end_ids(json_t *object, const struct generation_defaults *g)
{
    json_t *list = json_array();
    for (size_t i = 0; i < g->n_eos_ids; i++)
        json_array_append_new(list, json_integer(g->eos_ids[i]));
    if (g->n_eos_ids == 1)
        set(object, "eos_token_id", json_integer(g->eos_ids[0]));
    else
        set(object, "eos_token_id", g->n_eos_ids ? json_incref(list) : json_null());
    json_decref(list);
}

static json_t *factors(const double *values, size_t n)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, json_real(values[i]));
    return list;
}

static json_t *rope_scaling(const struct rope_parameters *rope)
{
    json_t *scaling = NULL;
    if (rope->kind == ROPE_DEFAULT)
        return json_null();
    if (rope->kind == ROPE_LINEAR) {
        scaling = json_pack("{s:s, s:f}", "rope_type", "linear", "factor", rope->factor);
    } else if (rope->kind == ROPE_YARN) {
        scaling =
            json_pack("{s:s, s:f, s:f, s:f, s:I}", "rope_type", "yarn", "factor", rope->factor,
                      "beta_fast", rope->beta_fast, "beta_slow", rope->beta_slow,
                      "original_max_position_embeddings", (json_int_t)rope->original_context);
    } else {
        scaling = json_pack("{s:s, s:o, s:o}", "type", "longrope", "short_factor",
                            factors(rope->short_factor, rope->rotary_dim / 2), "long_factor",
                            factors(rope->long_factor, rope->rotary_dim / 2));
    }
    if (scaling && rope->attention_factor > 0)
        set(scaling, "attention_factor", json_real(rope->attention_factor));
    return scaling;
}

static void add_family(json_t *config, const struct hyperparameters *h)
{
    bool phi3 = h->family == FAMILY_PHI3;
    set(config, "architectures", json_pack("[s]", phi3 ? "Phi3ForCausalLM" : "Qwen2ForCausalLM"));
    set(config, "model_type", json_string(phi3 ? "phi3" : "qwen2"));
    set(config, "sliding_window",
        h->sliding_window ? json_integer((json_int_t)h->sliding_window) : json_null());
    if (phi3) {
        set_size(config, "original_max_position_embeddings",
                 h->rope.kind == ROPE_LONGROPE ? h->rope.original_context : h->context_length);
    } else {
        set(config, "use_sliding_window", json_boolean(h->sliding_window > 0));
        set_size(config, "max_window_layers",
                 h->sliding_window ? h->first_window_layer : h->n_layers);
    }
}

json_t *hf_config_json(const struct hyperparameters *h, const struct generation_defaults *g,
                       const char *dtype)
{
    json_t *config = json_object();
    add_family(config, h);
    set(config, "hidden_act", json_string("silu"));
    set_size(config, "hidden_size", h->dim);
    set_size(config, "intermediate_size", h->ffn_dim);
    set_size(config, "num_hidden_layers", h->n_layers);
    set_size(config, "num_attention_heads", h->n_heads);
    set_size(config, "num_key_value_heads", h->n_kv_heads);
    if (h->head_dim * h->n_heads != h->dim)
        set_size(config, "head_dim", h->head_dim);
    set_size(config, "vocab_size", h->vocab_size);
    set_size(config, "max_position_embeddings", h->context_length);
    set(config, "rms_norm_eps", json_real(h->rms_norm_eps));
    set(config, "rope_theta", json_real(h->rope.theta));
    set(config, "rope_scaling", rope_scaling(&h->rope));
    if (h->rope.rotary_dim != h->head_dim)
        set(config, "partial_rotary_factor",
            json_real((double)h->rope.rotary_dim / (double)h->head_dim));
    set(config, "tie_word_embeddings", json_boolean(h->tied_embeddings));
    set_id(config, "bos_token_id", g->bos_id);
    set_end_ids(config, g);
    set_id(config, "pad_token_id", g->pad_id);
    set(config, "torch_dtype", json_string(dtype));
    return config;
}

json_t *hf_generation_json(const struct generation_defaults *g)
{
    json_t *config = json_object();
    set_id(config, "bos_token_id", g->bos_id);
    set_end_ids(config, g);
    set_id(config, "pad_token_id", g->pad_id);
    set(config, "do_sample", json_boolean(g->do_sample));
    if (g->do_sample) {
        set(config, "temperature", json_real(g->temperature));
        set(config, "top_p", json_real(g->top_p));
        set(config, "min_p", json_real(g->min_p));
        set(config, "top_k", json_integer((json_int_t)g->top_k));
        set(config, "repetition_penalty", json_real(g->repetition_penalty));
    }
    return config;
}
