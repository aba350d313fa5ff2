/* Fitting encoders with AVX2. */
#define FIT_ROW fit_row_avx2
#include "kernels/fit_rows.h"
