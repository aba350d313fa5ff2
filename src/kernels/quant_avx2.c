/* The plain kernels with AVX2. */
#include "kernels/quant_plain.h"
#include "kernels/quant_tables.h"

const struct quant_kernels quant_avx2 = {.quantize = quantize_rows, .rows = multiply_rows};
