/* Fitting encoders with the compiler's standard instruction set. */
#define FIT_ROW fit_row_scalar
#include "kernels/fit_rows.h"
