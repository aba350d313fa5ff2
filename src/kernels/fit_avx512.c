/* Fitting encoders with AVX-512. */
#define FIT_ROW fit_row_avx512
#include "kernels/fit_rows.h"
