/* What the vector files share before they define their primitives. */
#ifndef TANDEM_KERNELS_VECTOR_MACROS_H
#define TANDEM_KERNELS_VECTOR_MACROS_H

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif

/* INLINE makes code of constants out of arguments. In front of a loop of constant count, UNROLL
 * lays it out, so that its arrays become registers; KEEP_ROLLED says that its body is long.
 * Where a sanitizer checks every access, compilers would take minutes over all that. */
#if defined(SANITIZED)
#define INLINE static inline
#define UNROLL
#define KEEP_ROLLED
#else
#define INLINE static inline __attribute__((always_inline))
#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#define KEEP_ROLLED _Pragma("nounroll")
#else
#define UNROLL _Pragma("GCC unroll 16")
#define KEEP_ROLLED _Pragma("GCC unroll 1")
#endif
#endif

#endif
