/* Every kernel of every table that this CPU can run. */
#include "base/memory.h"
#include "kernels/kernels.h"
#include "kernels/matmul.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct kernels *table(const char *name)
{
    const struct kernels *kernels = NULL;
    struct error err = {0};
    if (kernels_select(name, &kernels, &err))
        fail_msg("%s", err.message);
    return kernels;
}

static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state;
}

static uint64_t hash_bytes(const void *data, size_t size)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < size; i++)
        h = (h ^ ((const uint8_t *)data)[i]) * 0x100000001b3u;
    return h;
}

/* Offsets of the f16 fields of a block (-1: none), which tests fill with ordinary numbers. */
static void scale_offsets(enum tensor_type type, int offsets[2])
{
    static const int table[TYPE_COUNT][2] = {
        [TYPE_F32] = {-1, -1},   [TYPE_F16] = {-1, -1}, [TYPE_BF16] = {-1, -1},
        [TYPE_Q4_0] = {0, -1},   [TYPE_Q4_1] = {0, 2},  [TYPE_Q5_0] = {0, -1},
        [TYPE_Q5_1] = {0, 2},    [TYPE_Q8_0] = {0, -1}, [TYPE_Q2_K] = {80, 82},
        [TYPE_Q3_K] = {108, -1}, [TYPE_Q4_K] = {0, 2},  [TYPE_Q5_K] = {0, 2},
        [TYPE_Q6_K] = {208, -1}, [TYPE_NF4] = {-1, -1}, [TYPE_FP4] = {-1, -1},
        [TYPE_INT8] = {-1, -1},
    };
    memcpy(offsets, table[type], sizeof table[type]);
}

/* Blocks of random bytes with scale 0x2E66 (about 0.1) and minimum 0xA8CD (about -0.04). */
static void random_blocks(enum tensor_type type, uint32_t seed, uint8_t *out, size_t n_blocks)
{
    static const uint8_t fields[2][2] = {{0x66, 0x2E}, {0xCD, 0xA8}};
    size_t bytes = tensor_type_info(type)->block_bytes;
    int offsets[2];
    scale_offsets(type, offsets);
    for (size_t b = 0; b < n_blocks; b++, out += bytes) {
        for (size_t i = 0; i < bytes; i++)
            out[i] = (uint8_t)(next_random(&seed) >> 24);
        for (int i = 0; i < 2; i++)
            if (offsets[i] >= 0)
                memcpy(out + offsets[i], fields[i], 2);
        if (type >= TYPE_NF4)
            memcpy(out, &(float){0.1f}, sizeof(float));
    }
}

/* What GGUF's own Python package makes of random_blocks(type, 7, 3 blocks): the
 * hash of all values, and the values at 0, n/2-1, n-1 and 2n + n/3 for blocks of n. */
static void test_dequantize_agrees_with_gguf(void **state)
{
    static const struct {
        enum tensor_type type;
        uint64_t hash;
        float samples[4];
    } expected[] = {
        {TYPE_Q4_0, 0x58f6d58b759b83da, {0.399902344f, 0.299926758f, -0.199951172f, -0.699829102f}},
        {TYPE_Q4_1, 0xc848e518014e5b99, {1.16220093f, 0.962249756f, 1.26217651f, 0.562347412f}},
        {TYPE_Q5_0, 0x141266d7d5a08f0b, {-0.399902344f, 1.09973145f, 0.699829102f, -1.49963379f}},
        {TYPE_Q5_1, 0x0f9dc35b2e2128bf, {0.0624694824f, 3.06173706f, 1.06222534f, 1.46212769f}},
        {TYPE_Q8_0, 0x662e98e2833d07cd, {-9.99755859f, 10.6973877f, -9.69763184f, 5.29870605f}},
        {TYPE_Q2_K, 0xc808a6761b186b6b, {4.01156616f, 2.59936523f, 1.84973145f, 1.23733521f}},
        {TYPE_Q3_K, 0x33405d1d91a4436d, {-3.19921875f, 3.19921875f, -2.39941406f, 1.99951172f}},
        {TYPE_Q4_K, 0x6e4b38db449be269, {9.03555298f, 14.5965576f, 12.1477051f, 16.533844f}},
        {TYPE_Q5_K, 0x9bcf4778d7c06951, {21.0326233f, 17.1959229f, 18.446167f, 85.8172913f}},
        {TYPE_Q6_K, 0xdca911e0d2c7cb70, {-49.2879639f, 283.130859f, -5.19873047f, 104.974365f}},
    };
    (void)state;
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        size_t n = tensor_type_info(expected[i].type)->block_length;
        size_t at[4] = {0, n / 2 - 1, n - 1, 2 * n + n / 3};
        uint8_t blocks[3 * 210];
        float values[3 * 256];
        random_blocks(expected[i].type, 7, blocks, 3);
        table("scalar")->dequantize[expected[i].type](blocks, values, 3 * n);
        for (int k = 0; k < 4; k++)
            assert_float_equal(values[at[k]], expected[i].samples[k], 1e-6f);
        assert_int_equal(hash_bytes(values, 3 * n * sizeof *values), expected[i].hash);
    }
}

/* Three blocks, the last of zeros, against the hash of the bytes that GGUF's library writes. */
static void test_quantize_agrees_with_gguf(void **state)
{
    static const struct {
        enum tensor_type type;
        uint64_t hash;
    } expected[] = {
        {TYPE_Q4_0, 0x277a9e7a17fba957}, {TYPE_Q4_1, 0x0ed5f515bf12fdff},
        {TYPE_Q5_0, 0x4dd7305ab0a2c617}, {TYPE_Q5_1, 0x1417951a20993407},
        {TYPE_Q8_0, 0xcfe9eda9f775cdaf},
    };
    (void)state;
    float x[96] = {0};
    uint32_t seed = 11;
    for (int i = 0; i < 64; i++)
        x[i] = ((float)(next_random(&seed) >> 8) * 0x1p-24f - 0.5f) * 8;
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        uint8_t blocks[3 * 34];
        table("scalar")->quantize[expected[i].type](x, blocks, 96);
        size_t bytes = 3 * tensor_type_info(expected[i].type)->block_bytes;
        assert_int_equal(hash_bytes(blocks, bytes), expected[i].hash);
    }
}

/* --- Every table against scalar, on ragged shapes --- */

enum { MOST = 70, GUARD = 8 };

/* Numbers in [-1, 1). */
static void fill(float *x, size_t n, uint32_t seed)
{
    for (size_t i = 0; i < n; i++)
        x[i] = (float)(next_random(&seed) >> 8) * 0x1p-23f - 1;
}

/* Equal, zeros of either sign too, or both not a number. */
static bool same_float(float a, float b)
{
    return a == b || (isnan(a) && isnan(b));
}

static void assert_close(const char *what, const char *isa, size_t at, double got, double expected,
                         double tolerance)
{
    if (!(fabs(got - expected) <= tolerance))
        fail_msg("%s of %s: element %zu is %.9g, not %.9g", what, isa, at, got, expected);
}

static void check_dequantize(const struct kernels *k, enum tensor_type type, size_t n,
                             const uint8_t *stored)
{
    float got[5 * 256 + GUARD], expected[5 * 256];
    got[n] = 12345;
    k->dequantize[type](stored, got, n);
    table("scalar")->dequantize[type](stored, expected, n);
    for (size_t i = 0; i < n; i++)
        if (!same_float(got[i], expected[i]))
            fail_msg("%s of %s: element %zu of %zu is %g, not %g", tensor_type_info(type)->name,
                     k->name, i, n, (double)got[i], (double)expected[i]);
    assert_true(got[n] == 12345);
}

static void test_dequantize(const struct kernels *k)
{
    for (int t = 0; t < TYPE_COUNT; t++) {
        enum tensor_type type = (enum tensor_type)t;
        const struct tensor_type_info *info = tensor_type_info(type);
        size_t most = info->block_length == 1 ? MOST : 5;
        for (size_t blocks = 1; blocks <= most; blocks++) {
            uint8_t stored[5 * 210 + 1]; /* used from an odd address */
            random_blocks(type, (uint32_t)(blocks * 31 + (size_t)t), stored + 1, blocks);
            check_dequantize(k, type, blocks * info->block_length, stored + 1);
        }
    }
}

static void test_quantize(const struct kernels *k)
{
    float x[MOST * 64];
    uint8_t got[MOST * 64 * 4 + 1], expected[sizeof got];
    for (int t = 0; t < TYPE_COUNT; t++) {
        const struct tensor_type_info *info = tensor_type_info((enum tensor_type)t);
        assert_true(!k->quantize[t] == (info->block_length == 256));
        for (size_t blocks = 1; blocks <= MOST && k->quantize[t]; blocks++) {
            size_t n = blocks * info->block_length;
            fill(x, n, (uint32_t)blocks);
            x[n / 2] *= 70000; /* beyond what F16 holds */
            memset(got, 0xAB, sizeof got);
            memset(expected, 0xAB, sizeof expected);
            k->quantize[t](x, got + 1, n);
            table("scalar")->quantize[t](x, expected + 1, n);
            if (memcmp(got, expected, sizeof got))
                fail_msg("%s by %s differs at %zu blocks", info->name, k->name, blocks);
        }
    }
}

/* Every half there is becomes a float and the same half again. */
static void test_all_halves(const struct kernels *k)
{
    for (uint32_t h = 0; h < 65536; h += 64) {
        uint16_t in[64], out[64];
        float wide[64], expected[64];
        for (uint32_t i = 0; i < 64; i++)
            in[i] = (uint16_t)(h + i);
        k->dequantize[TYPE_F16](in, wide, 64);
        table("scalar")->dequantize[TYPE_F16](in, expected, 64);
        k->quantize[TYPE_F16](wide, out, 64);
        for (int i = 0; i < 64; i++) {
            assert_true(same_float(wide[i], expected[i]) || isnan(expected[i]));
            assert_true(out[i] == in[i] || isnan(wide[i]));
        }
    }
}

static void check_gemm(const struct kernels *k, size_t rows, size_t outputs, size_t n)
{
    enum { X_STRIDE = MOST + 1, W_STRIDE = MOST + 3, Y_STRIDE = 23 };
    static float x[14 * X_STRIDE], w[20 * W_STRIDE], y[14 * Y_STRIDE];
    fill(x, sizeof x / sizeof *x, (uint32_t)n);
    fill(w, sizeof w / sizeof *w, (uint32_t)rows);
    for (size_t i = 0; i < 14 * Y_STRIDE; i++)
        y[i] = 100;
    k->gemm_f32(x, X_STRIDE, rows, w, W_STRIDE, outputs, n, y, Y_STRIDE);
    for (size_t r = 0; r < 14; r++)
        for (size_t o = 0; o < Y_STRIDE; o++) {
            double expected = 100;
            for (size_t i = 0; r < rows && o < outputs && i < n; i++)
                expected += (double)x[r * X_STRIDE + i] * (double)w[o * W_STRIDE + i];
            assert_close("gemm", k->name, r * Y_STRIDE + o, y[r * Y_STRIDE + o], expected, 2e-5);
        }
}

static void test_gemm(const struct kernels *k)
{
    for (size_t n = 1; n <= MOST; n++)
        check_gemm(k, 1 + n % 13, 1 + n % 19, n);
    for (size_t rows = 1; rows <= 14; rows++)
        for (size_t outputs = 1; outputs <= 20; outputs++)
            check_gemm(k, rows, outputs, 37);
}

static void test_elementwise(const struct kernels *k)
{
    const struct kernels *scalar = table("scalar");
    for (size_t n = 1; n <= MOST; n++) {
        float x[MOST + GUARD], w[MOST], got[MOST + GUARD], expected[MOST + GUARD];
        fill(x, n, (uint32_t)n);
        fill(w, n, (uint32_t)n + 1000);
        got[n] = x[n] = 4321;
        k->rms_norm(x, w, got, n, 1e-6f);
        scalar->rms_norm(x, w, expected, n, 1e-6f);
        for (size_t i = 0; i < n; i++)
            assert_close("rms_norm", k->name, i, got[i], expected[i], 2e-6);
        for (size_t i = 0; i < n; i++)
            got[i] = expected[i] = x[i] * 20;
        k->silu_multiply(got, w, n);
        scalar->silu_multiply(expected, w, n);
        for (size_t i = 0; i < n; i++)
            assert_close("silu", k->name, i, got[i], expected[i], 1e-6 * fabs(expected[i]) + 1e-30);
        k->add(got, w, n);
        for (size_t i = 0; i < n; i++)
            assert_close("add", k->name, i, got[i], expected[i] + w[i], 1e-5);
        assert_true(got[n] == 4321);
    }
}

static void test_rope(const struct kernels *k)
{
    for (size_t half = 1; half <= MOST / 2; half++) {
        float angles[2 * MOST], got[2 * MOST], expected[2 * MOST];
        fill(angles, 2 * half, (uint32_t)half);
        fill(got, MOST + GUARD, (uint32_t)half + 5);
        memcpy(expected, got, sizeof got);
        k->rope(got, angles, angles + half, half);
        table("scalar")->rope(expected, angles, angles + half, half);
        for (size_t i = 0; i < MOST + GUARD; i++)
            assert_close("rope", k->name, i, got[i], expected[i], 1e-6);
    }
}

/* --- Attention --- */

enum { ATTENTION_ROWS = 33, PAGES = 3 };

/* Keys and values of some pages, as the cache stores them, and the buffers of a table's kernels. */
struct attention_case {
    enum tensor_type type;
    size_t dim, width, row_bytes, page_bytes;
    float *q;                           /* [ATTENTION_ROWS, dim] */
    uint8_t *keys, *values;             /* [PAGES * page_bytes] */
    uint8_t *queries, *k_page, *v_page; /* prepared */
    float *scores, *out;
    struct softmax states[ATTENTION_ROWS + QUERY_TILE];
};

static void attention_make(struct attention_case *c, enum tensor_type type, size_t dim)
{
    size_t rows = ATTENTION_ROWS + QUERY_TILE, width = attention_width(dim);
    *c = (struct attention_case){.type = type, .dim = dim, .width = width};
    assert_true(tensor_type_bytes(type, dim, &c->row_bytes));
    c->page_bytes = KEY_PAGE * c->row_bytes;
    c->q = mem_array(ATTENTION_ROWS, dim * sizeof(float));
    c->keys = mem_array(PAGES, c->page_bytes);
    c->values = mem_array(PAGES, c->page_bytes);
    c->queries = mem_aligned(64, rows, width * 4);
    c->k_page = mem_aligned(64, KEY_PAGE, width * 4);
    c->v_page = mem_aligned(64, KEY_PAGE, width * 4);
    c->scores = mem_aligned(64, rows, KEY_PAGE * sizeof(float));
    c->out = mem_aligned(64, rows, width * sizeof(float));
    fill(c->q, ATTENTION_ROWS * dim, 1);
    for (size_t i = 0; i < ATTENTION_ROWS * dim; i++)
        c->q[i] *= 3;
    float *row = mem_array(dim, sizeof *row);
    for (size_t i = 0; i < PAGES * KEY_PAGE; i++) {
        size_t page = i / KEY_PAGE * c->page_bytes, slot = i % KEY_PAGE;
        fill(row, dim, (uint32_t)i + 2);
        attention_store_key(type, table("scalar")->quantize[type], row, dim, c->keys + page, slot);
        fill(row, dim, (uint32_t)i + 1000);
        table("scalar")->quantize[type](row, c->values + page + slot * c->row_bytes, dim);
    }
    mem_free(row);
}

static void attention_clear(struct attention_case *c)
{
    void *const blocks[] = {c->q,      c->keys,   c->values, c->queries,
                            c->k_page, c->v_page, c->scores, c->out};
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++)
        mem_free(blocks[i]);
}

/* Row r sees positions [first(r), last(r)): a whole page, part of one, and nothing of another. */
static size_t first_seen(size_t r)
{
    return r % 3 ? r * 2 : 0;
}

static size_t end_seen(size_t r)
{
    return KEY_PAGE + 1 + 3 * r;
}

static size_t within(size_t position, size_t page)
{
    size_t begin = page * KEY_PAGE;
    return position <= begin ? 0 : position - begin < KEY_PAGE ? position - begin : KEY_PAGE;
}

/* Rows [first, first + n); answers [n, dim]. */
static void attend(const struct kernels *k, struct attention_case *c, size_t first, size_t n,
                   float *answers)
{
    const struct attention_kernels *a = k->attention[c->type];
    size_t end = end_seen(first + n - 1);
    memset(c->out, 0, (ATTENTION_ROWS + QUERY_TILE) * c->width * sizeof(float));
    if (a->begin)
        a->begin();
    for (size_t r = 0; r < n; r++) {
        a->prepare_query(c->q + (first + r) * c->dim, 0.25f, c->dim, c->queries + r * c->width * 4);
        c->states[r] = (struct softmax){.max = -INFINITY};
    }
    for (size_t page = 0; page * KEY_PAGE < end; page++) {
        a->prepare_keys(c->type, c->keys + page * c->page_bytes, c->dim, c->k_page);
        a->prepare_values(c->type, c->values + page * c->page_bytes, within(end, page), c->dim,
                          c->v_page);
        a->scores(c->queries, n, c->k_page, c->width, c->scores);
        for (size_t r = 0; r < n; r++) {
            c->states[r].begin = (uint32_t)within(first_seen(first + r), page);
            c->states[r].end = (uint32_t)within(end_seen(first + r), page);
        }
        a->soften(c->scores, n, c->states, c->out, c->width);
        a->mix(c->scores, n, c->v_page, c->width, c->out);
    }
    if (a->end)
        a->end();
    for (size_t i = 0; i < n * c->dim; i++)
        answers[i] = c->out[i / c->dim * c->width + i % c->dim] / c->states[i / c->dim].sum;
}

/* In doubles, from what is stored. */
static void attend_in_doubles(const struct attention_case *c, size_t r, double *answer)
{
    double weights[PAGES * KEY_PAGE], sum = 0;
    float *page = mem_array(KEY_PAGE, c->width * sizeof *page), *value = mem_array(c->dim, 4);
    memset(answer, 0, c->dim * sizeof *answer);
    for (size_t i = first_seen(r); i < end_seen(r); i++) {
        double score = 0;
        const uint8_t *keys = c->keys + i / KEY_PAGE * c->page_bytes;
        table("scalar")->attention[c->type]->prepare_keys(c->type, keys, c->dim, page);
        for (size_t d = 0; d < c->dim; d++)
            score += (double)c->q[r * c->dim + d] * (double)page[d * KEY_PAGE + i % KEY_PAGE];
        weights[i] = exp(score / 4);
        sum += weights[i];
        table("scalar")->dequantize[c->type](
            c->values + i / KEY_PAGE * c->page_bytes + i % KEY_PAGE * c->row_bytes, value, c->dim);
        for (size_t d = 0; d < c->dim; d++)
            answer[d] += weights[i] * (double)value[d];
    }
    for (size_t d = 0; d < c->dim; d++)
        answer[d] /= sum;
    mem_free(page);
    mem_free(value);
}

static void check_attention(const struct kernels *k, enum tensor_type type, size_t dim)
{
    struct attention_case c;
    attention_make(&c, type, dim);
    float *together = mem_array(ATTENTION_ROWS, dim * sizeof *together);
    float *alone = mem_array(dim, sizeof *alone);
    double *expected = mem_array(dim, sizeof *expected);
    attend(k, &c, 0, ATTENTION_ROWS, together);
    for (size_t r = 0; r < ATTENTION_ROWS; r += r < 8 ? 1 : 5) {
        attend(k, &c, r, 1, alone);
        assert_memory_equal(alone, together + r * dim, dim * sizeof *alone);
        attend_in_doubles(&c, r, expected);
        for (size_t d = 0; d < dim; d++)
            assert_close("attention", k->name, d, alone[d], expected[d], 2e-5);
    }
    mem_free(together);
    mem_free(alone);
    mem_free(expected);
    attention_clear(&c);
}

/* Against doubles, and the same bits for rows alone and together: ragged dimensions, rows and
 * pages that are seen in part. */
static void test_attention(const struct kernels *k)
{
    static const size_t dims[] = {1, 5, 16, 24, 32, 64, 80, 96, 128, 160};
    for (size_t i = 0; i < sizeof dims / sizeof *dims; i++) {
        check_attention(k, TYPE_F32, dims[i]);
        check_attention(k, TYPE_F16, dims[i]);
        if (dims[i] % 32 == 0)
            check_attention(k, TYPE_Q8_0, dims[i]);
    }
}

/* Positions that a row does not see have no say, whatever they hold. */
static void test_hidden_positions(const struct kernels *k)
{
    struct attention_case c;
    float before[64], after[64];
    attention_make(&c, TYPE_F16, 64);
    attend(k, &c, 0, 1, before);
    size_t hidden = end_seen(0) - KEY_PAGE;
    memset(c.values + c.page_bytes + hidden * c.row_bytes, 0xFF,
           c.page_bytes - hidden * c.row_bytes); /* NaN */
    for (size_t d = 0; d < 64; d++)
        memset(c.keys + c.page_bytes + (d * KEY_PAGE + hidden) * 2, 0xFF, (KEY_PAGE - hidden) * 2);
    attend(k, &c, 0, 1, after);
    assert_memory_equal(before, after, sizeof before);
    attention_clear(&c);
}

static void test_soften(const struct kernels *k)
{
    float scores[KEY_PAGE], out[32];
    struct softmax state = {.max = -1, .sum = 2, .begin = 2, .end = 50};
    for (size_t i = 0; i < KEY_PAGE; i++)
        scores[i] = i == 3 ? 1 : i == 7 ? -INFINITY : -(float)i;
    for (size_t d = 0; d < 32; d++)
        out[d] = (float)d;
    scores[60] = 1e30f; /* not seen */
    double sum = 2 * exp2(-2.0);
    for (size_t i = 2; i < 50; i++)
        sum += exp2((double)scores[i] - 1);
    k->attention[TYPE_F16]->soften(scores, 1, &state, out, 32);
    assert_close("max", k->name, 0, state.max, 1, 0);
    assert_close("sum", k->name, 0, state.sum, sum, 1e-6);
    assert_close("weight", k->name, 3, scores[3], 1, 1e-6);
    assert_true(scores[1] == 0 && scores[7] == 0 && scores[50] == 0 && scores[60] == 0);
    assert_close("shrunk", k->name, 31, out[31], 31 * exp2(-2.0), 1e-5);
    scores[20] = NAN;
    state.begin = 0;
    state.end = KEY_PAGE;
    k->attention[TYPE_F16]->soften(scores, 1, &state, out, 32);
    assert_true(isnan(state.sum));
}

/* Rows of one call do not see each other; some see nothing of the page. */
static void test_soften_rows(const struct kernels *k)
{
    enum { ROWS = 21 };
    float together[ROWS * KEY_PAGE], alone[ROWS * KEY_PAGE], out[2][ROWS * 32];
    struct softmax states[2][ROWS];
    for (size_t i = 0; i < ROWS * KEY_PAGE; i++)
        alone[i] = together[i] = sinf((float)i) * 5;
    for (size_t i = 0; i < ROWS * 32; i++)
        out[0][i] = out[1][i] = cosf((float)i);
    for (uint32_t r = 0; r < ROWS; r++)
        states[0][r] = states[1][r] =
            (struct softmax){.max = (float)r - 10, .sum = 1, .begin = 3 * r, .end = KEY_PAGE - r};
    k->attention[TYPE_F16]->soften(together, ROWS, states[0], out[0], 32);
    for (size_t r = 0; r < ROWS; r++)
        k->attention[TYPE_F16]->soften(alone + r * KEY_PAGE, 1, &states[1][r], out[1] + r * 32, 32);
    assert_memory_equal(together, alone, sizeof together);
    assert_memory_equal(out[0], out[1], sizeof out[0]);
    assert_memory_equal(states[0], states[1], sizeof states[0]);
    assert_true(states[0][20].begin > states[0][20].end && states[0][20].sum == 1);
}

/* What is not a number, or too large, comes out as such. */
static void test_special_values(const struct kernels *k)
{
    for (size_t n = 1; n <= 35; n++) {
        float x[35], ones[35], y[35];
        for (size_t i = 0; i < n; i++)
            x[i] = ones[i] = 1;
        x[n - 1] = NAN;
        memcpy(y, x, sizeof y);
        k->silu_multiply(y, ones, n);
        assert_true(isnan(y[n - 1]) && (n == 1 || !isnan(y[0])));
        k->rms_norm(x, ones, y, n, 1e-6f);
        assert_true(isnan(y[0]));
        y[0] = 0;
        k->gemm_f32(x, n, 1, ones, n, 1, n, y, 1);
        assert_true(isnan(y[0]));
        y[n - 1] = -1000;
        k->silu_multiply(y, ones, n);
        assert_true(y[n - 1] == 0);
    }
}

static void for_each_table(void (*test)(const struct kernels *))
{
    for (const char *const *name = kernels_available(); *name; name++)
        test(table(*name));
}

#define ON_EVERY_TABLE(test)                                                                       \
    static void test##_on_every_table(void **state)                                                \
    {                                                                                              \
        (void)state;                                                                               \
        for_each_table(test);                                                                      \
    }
ON_EVERY_TABLE(test_dequantize)
ON_EVERY_TABLE(test_quantize)
ON_EVERY_TABLE(test_all_halves)
ON_EVERY_TABLE(test_gemm)
ON_EVERY_TABLE(test_elementwise)
ON_EVERY_TABLE(test_rope)
ON_EVERY_TABLE(test_attention)
ON_EVERY_TABLE(test_hidden_positions)
ON_EVERY_TABLE(test_soften)
ON_EVERY_TABLE(test_soften_rows)
ON_EVERY_TABLE(test_special_values)

/* --- Matrix products --- */

/* A matrix of random blocks, not aligned, and rows of activations. */
struct trial {
    struct matrix w;
    uint8_t *stored;
    float *x, *bias, *y, *expected;
    size_t n_rows;
};

static void product_make(struct trial *p, enum tensor_type type, size_t rows, size_t cols,
                         size_t n_rows)
{
    size_t row_bytes = 0;
    assert_true(tensor_type_bytes(type, cols, &row_bytes));
    *p = (struct trial){.n_rows = n_rows};
    p->stored = mem_array(rows, row_bytes + 16);
    p->x = mem_array(n_rows * cols, sizeof(float));
    p->bias = mem_array(rows, sizeof(float));
    p->y = mem_array(n_rows * rows, sizeof(float));
    p->expected = mem_array(n_rows * rows, sizeof(float));
    p->w = (struct matrix){
        .type = type, .rows = rows, .cols = cols, .row_bytes = row_bytes, .data = p->stored + 3};
    fill(p->x, n_rows * cols, 1);
    fill(p->bias, rows, 2);
    if (tensor_type_info(type)->block_length > 1) {
        random_blocks(type, 3, p->stored + 3, rows * cols / tensor_type_info(type)->block_length);
        return;
    }
    float *row = mem_array(cols, sizeof *row);
    for (size_t o = 0; o < rows; o++) {
        fill(row, cols, (uint32_t)o + 10);
        table("scalar")->quantize[type](row, p->stored + 3 + o * row_bytes, cols);
    }
    mem_free(row);
}

static void product_free(struct trial *p)
{
    mem_free(p->stored);
    mem_free(p->x);
    mem_free(p->bias);
    mem_free(p->y);
    mem_free(p->expected);
}

static void multiply_from(const struct compute *c, const struct trial *p, const float *bias,
                          size_t first, size_t n, float *y)
{
    struct activations a;
    struct error err = {0};
    if (activations_create(n, p->w.cols, &a, &err))
        fail_msg("%s", err.message);
    activations_set(&a, p->x + first * p->w.cols, p->w.cols, n, p->w.cols);
    matmul(c, &p->w, bias, &a, y + first * p->w.rows, p->w.rows);
    activations_free(&a);
}

static void multiply(const struct compute *c, const struct trial *p, size_t first, size_t n,
                     float *y)
{
    multiply_from(c, p, p->bias, first, n, y);
}

static struct compute start(const char *isa, size_t threads, size_t cols)
{
    struct compute c;
    struct error err = {0};
    if (compute_create(isa, NULL, threads, 1024, cols, &c, &err))
        fail_msg("%s", err.message);
    c.quant = NULL; /* in floats: the others are quant_test's */
    return c;
}

static void check_against_doubles(const struct trial *p, const char *isa)
{
    size_t cols = p->w.cols;
    float *row = mem_array(cols, sizeof *row);
    for (size_t o = 0; o < p->w.rows; o++) {
        table("scalar")->dequantize[p->w.type](p->stored + 3 + o * p->w.row_bytes, row, cols);
        for (size_t r = 0; r < p->n_rows; r++) {
            double sum = p->bias[o], magnitude = 1;
            for (size_t i = 0; i < cols; i++) {
                double term = (double)p->x[r * cols + i] * (double)row[i];
                sum += term;
                magnitude += fabs(term);
            }
            assert_close(tensor_type_info(p->w.type)->name, isa, r * p->w.rows + o,
                         p->y[r * p->w.rows + o], sum, magnitude * 2e-6);
        }
    }
    mem_free(row);
}

static void assert_same_bits(const struct trial *p, const char *isa, const char *what, size_t n)
{
    for (size_t i = 0; i < p->n_rows * p->w.rows; i++)
        if (memcmp(&p->y[i], &p->expected[i], sizeof *p->y))
            fail_msg("%s %s: %s %zu: row %zu, output %zu is %.9g, not %.9g", isa,
                     tensor_type_info(p->w.type)->name, what, n, i / p->w.rows, i % p->w.rows,
                     (double)p->y[i], (double)p->expected[i]);
}

/* Any type: right values, and the same bits for every number of threads. */
static void test_matmul(const struct kernels *k)
{
    for (int t = 0; t < TYPE_COUNT; t++) {
        struct trial p;
        product_make(&p, (enum tensor_type)t, 100, 768, 33);
        for (size_t threads = 1; threads <= 3; threads++) {
            struct compute c = start(k->name, threads, p.w.cols);
            multiply(&c, &p, 0, p.n_rows, threads == 1 ? p.expected : p.y);
            compute_free(&c);
            if (threads == 1)
                continue;
            assert_same_bits(&p, k->name, "1 thread and", threads);
        }
        check_against_doubles(&p, k->name);
        product_free(&p);
    }
}

/* Rows come out the same alone and in batches of 2 to 33, whatever way they are computed. */
static void test_rows_in_batches(const struct kernels *k)
{
    for (int t = 0; t < TYPE_COUNT; t++) {
        enum tensor_type type = (enum tensor_type)t;
        size_t cols =
            tensor_type_info(type)->block_length == 1 ? MATMUL_CHUNK + 13 : MATMUL_CHUNK + 256;
        struct trial p;
        product_make(&p, type, 37, cols, 33);
        struct compute c = start(k->name, 2, cols);
        for (size_t r = 0; r < p.n_rows; r++)
            multiply(&c, &p, r, 1, p.expected);
        for (size_t batch = 2; batch <= p.n_rows; batch += batch < 9 ? 1 : 4) {
            memset(p.y, 0xFF, p.n_rows * p.w.rows * sizeof *p.y);
            for (size_t r = 0; r < p.n_rows; r += batch)
                multiply(&c, &p, r, p.n_rows - r < batch ? p.n_rows - r : batch, p.y);
            assert_same_bits(&p, k->name, "rows alone and batches of", batch);
        }
        compute_free(&c);
        product_free(&p);
    }
}
ON_EVERY_TABLE(test_matmul)
ON_EVERY_TABLE(test_rows_in_batches)

/* More rows than one panel of packed activations, with a matrix of little height. */
static void test_many_rows(const struct kernels *k)
{
    struct trial p;
    product_make(&p, TYPE_Q8_0, 5, 1056, 401);
    struct compute c = start(k->name, 2, p.w.cols);
    multiply(&c, &p, 0, p.n_rows, p.y);
    for (size_t r = 0; r < p.n_rows; r++)
        multiply(&c, &p, r, 1, p.expected);
    assert_same_bits(&p, k->name, "rows alone and all", p.n_rows);
    compute_free(&c);
    product_free(&p);
}
ON_EVERY_TABLE(test_many_rows)

/* Odd shapes down to one by one, with and without bias. */
static void test_matmul_of_small_shapes(void **state)
{
    (void)state;
    for (const char *const *isa = kernels_available(); *isa; isa++) {
        for (size_t size = 1; size <= 40; size++) {
            struct trial p;
            product_make(&p, TYPE_F32, size, 41 - size, 1 + size % 7);
            struct compute c = start(*isa, 2, p.w.cols);
            multiply(&c, &p, 0, p.n_rows, p.y);
            check_against_doubles(&p, *isa);
            multiply_from(&c, &p, NULL, 0, p.n_rows, p.expected);
            for (size_t i = 0; i < p.n_rows * p.w.rows; i++)
                assert_close("without bias", *isa, i, p.expected[i] + p.bias[i % p.w.rows], p.y[i],
                             1e-5);
            compute_free(&c);
            product_free(&p);
        }
    }
}

static void test_selection(void **state)
{
    (void)state;
    const struct kernels *k;
    struct error err = {0};
    const char *expected = getenv("TANDEM_EXPECT_ISA"); /* what this machine is known to have */
    if (expected)
        assert_string_equal(table(expected)->name, expected);
    assert_int_equal(kernels_select("abacus", &k, &err), STATUS_INVALID);
    assert_non_null(strstr(err.message, "abacus"));
    assert_non_null(strstr(err.message, "scalar"));
    setenv("TANDEM_ISA", "scalar", 1);
    assert_string_equal(table(NULL)->name, "scalar");
    setenv("TANDEM_ISA", "", 1);
    assert_string_equal(table(NULL)->name, kernels_available()[0]);
    setenv("TANDEM_ISA", "sve9", 1);
    assert_int_equal(kernels_select(NULL, &k, &err), STATUS_INVALID);
    assert_non_null(strstr(err.message, "TANDEM_ISA"));
    unsetenv("TANDEM_ISA");
    assert_string_equal(table(NULL)->name, kernels_available()[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dequantize_agrees_with_gguf),
        cmocka_unit_test(test_quantize_agrees_with_gguf),
        cmocka_unit_test(test_dequantize_on_every_table),
        cmocka_unit_test(test_quantize_on_every_table),
        cmocka_unit_test(test_all_halves_on_every_table),
        cmocka_unit_test(test_gemm_on_every_table),
        cmocka_unit_test(test_elementwise_on_every_table),
        cmocka_unit_test(test_rope_on_every_table),
        cmocka_unit_test(test_attention_on_every_table),
        cmocka_unit_test(test_hidden_positions_on_every_table),
        cmocka_unit_test(test_soften_on_every_table),
        cmocka_unit_test(test_soften_rows_on_every_table),
        cmocka_unit_test(test_special_values_on_every_table),
        cmocka_unit_test(test_matmul_on_every_table),
        cmocka_unit_test(test_rows_in_batches_on_every_table),
        cmocka_unit_test(test_many_rows_on_every_table),
        cmocka_unit_test(test_matmul_of_small_shapes),
        cmocka_unit_test(test_selection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
