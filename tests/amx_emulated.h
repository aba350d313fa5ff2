/* The AMX kernels on a machine with AVX-512 VNNI and without AMX. */
#ifndef TANDEM_TESTS_AMX_EMULATED_H
#define TANDEM_TESTS_AMX_EMULATED_H

#include "kernels/quant.h"

extern const struct quant_kernels quant_amx_emulated;

#endif
