/* What the vector files share before they define their primitives. */
#ifndef TANDEM_KERNELS_VECTOR_MACROS_H
#define TANDEM_KERNELS_VECTOR_MACROS_H

#define INLINE static inline __attribute__((always_inline))

/* In front of a loop of constant count: lay it out, so that its arrays become registers. */
#ifdef __clang__
#define UNROLL _Pragma("unroll")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

#endif
