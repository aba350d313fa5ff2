/* Every kernel of every table that this CPU can run. */
#include "base/memory.h"
#include "kernels/kernels.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
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
        [TYPE_Q6_K] = {208, -1},
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dequantize_agrees_with_gguf),
        cmocka_unit_test(test_quantize_agrees_with_gguf),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
