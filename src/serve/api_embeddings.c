/* POST /v1/embeddings: the final hidden states of a text, pooled and scaled to length 1. */
#include "base/memory.h"
#include "serve/answering.h"
#include "serve/server_internal.h"

#include <math.h>
#include <nettle/base64.h>
#include <string.h>

/* To length 1, in place. */
static void normalize(float *v, size_t dim)
{
    double sum = 0;
    for (size_t i = 0; i < dim; i++)
        sum += (double)v[i] * v[i];
    for (size_t i = 0; i < dim && sum > 0; i++)
        v[i] = (float)(v[i] / sqrt(sum));
}

/* Little-endian floats, as OpenAI's clients ask for. */
static json_t *as_base64(const float *v, size_t dim)
{
    size_t bytes = dim * sizeof *v, length = BASE64_ENCODE_RAW_LENGTH(bytes);
    char *text = mem_alloc(length);
    if (!text)
        return NULL;
    base64_encode_raw(text, bytes, (const uint8_t *)v);
    json_t *value = json_stringn(text, length);
    mem_free(text);
    return value;
}

static json_t *as_list(const float *v, size_t dim)
{
    json_t *list = json_array();
    for (size_t i = 0; i < dim; i++)
        json_array_append_new(list, json_real((double)v[i]));
    return list;
}

static json_t *entry(const struct answering *a, size_t index)
{
    size_t dim = engine_info(a->lease.engine).dim;
    float *v = mem_copy(generation_embedding(a->generations[index]), dim * sizeof *v);
    if (!v)
        return NULL;
    normalize(v, dim);
    json_t *value = a->request.base64 ? as_base64(v, dim) : as_list(v, dim);
    mem_free(v);
    return json_pack("{s:s, s:I, s:o}", "object", "embedding", "index", (json_int_t)index,
                     "embedding", value);
}

static json_t *wait_for_all(struct answering *a, struct api_error *error)
{
    struct piece piece;
    while (answering_next(a, &piece))
        if (piece.is_end && !error->http)
            answering_check(a, piece.choice, error);
    if (error->http)
        return NULL;
    json_t *data = json_array();
    size_t tokens = 0;
    for (size_t i = 0; i < a->n_choices; i++) {
        json_array_append_new(data, entry(a, i));
        tokens += a->choices[i].stats.prompt_tokens;
    }
    return json_pack("{s:s, s:o, s:s, s:{s:I, s:I}}", "object", "list", "data", data, "model",
                     a->lease.model, "usage", "prompt_tokens", (json_int_t)tokens, "total_tokens",
                     (json_int_t)tokens);
}

static bool check_dimensions(const struct answering *a, struct api_error *error)
{
    int64_t asked = a->request.dimensions, dim = (int64_t)engine_info(a->lease.engine).dim;
    if (asked == 0 || asked == dim)
        return true;
    return api_refuse(error, 400, "unsupported_value", "dimensions",
                      "embeddings of %s have %lld dimensions, and cannot be shortened",
                      a->lease.model, (long long)dim);
}

void api_embeddings(struct exchange *x)
{
    struct api_error error = {0};
    struct answering *a = answering_create(x, API_EMBEDDING, &error);
    bool ok = a && check_dimensions(a, &error) && api_start_prompts(a, &error);
    json_t *reply = ok ? wait_for_all(a, &error) : NULL;
    if (reply)
        exchange_reply_json(x, 200, reply);
    else
        exchange_reply_error(x, &error);
}
