/* The tables that the instruction-set files define; only kernels.c looks here. */
#ifndef TANDEM_KERNELS_TABLES_H
#define TANDEM_KERNELS_TABLES_H

#include "kernels/kernels.h"

extern const struct kernels kernels_scalar;

#endif
