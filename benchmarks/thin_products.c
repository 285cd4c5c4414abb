/* Products of ten rows with a large matrix, in the place of a library's own sgemm: what a processor with AVX-512 can do.
 *
 *     gcc -O3 -march=native -shared -fPIC -o thin_products.so benchmarks/thin_products.c -ldl
 *     LD_PRELOAD=$PWD/thin_products.so VGEXP_PRODUCTS=torch GLIBC_TUNABLES=glibc.malloc.hugetlb=1 vgexp ...
 *
 * One thread; all other products go to the library. README.md has its figures. Matrices are as in Fortran: the weights
 * W of I x O are an O x I matrix A, the ten rows h of B x I an I x B matrix.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <immintrin.h>

#define B 10
#define EACH_ROW(b) _Pragma("GCC unroll 10") for (int b = 0; b < B; b++) /* unrolled: sums stay in registers */
#define SMALL 64 /* units below which the library is as quick */
#define AHEAD 12 /* rows of W that are fetched before they are needed */

typedef void (*Gemm)(const char *, const char *, const int *, const int *, const int *, const float *, const float *,
                     const int *, const float *, const int *, const float *, float *, const int *);

/* The first n of 16 lanes. */
static __mmask16 lanes(int n) { return n >= 16 ? 0xffff : n <= 0 ? 0 : (__mmask16)((1u << n) - 1); }

static void put(float *z, __mmask16 mask, float alpha, __m512 sum, float beta) {
    __m512 result = _mm512_mul_ps(_mm512_set1_ps(alpha), sum);
    if (beta != 0)
        result = _mm512_fmadd_ps(_mm512_set1_ps(beta), _mm512_maskz_loadu_ps(mask, z), result);
    _mm512_mask_storeu_ps(z, mask, result);
}

/* z = alpha h W + beta z: 32 columns of all ten rows in registers, W read once from top to bottom. */
static void forward(int O, int I, float alpha, const float *W, long ldw, const float *h, long ldh, float beta, float *z,
                    long ldz) {
    for (int o = 0; o < O; o += 32) {
        __mmask16 left = lanes(O - o), right = lanes(O - o - 16);
        __m512 sum[B][2];
        EACH_ROW(b)
            sum[b][0] = sum[b][1] = _mm512_setzero_ps();
        for (int i = 0; i < I; i++) {
            const float *w = W + i * ldw + o;
            for (int part = 0; part < 3; part++) /* 128 bytes lie in three lines of the cache */
                _mm_prefetch((const char *)(w + AHEAD * ldw + 16 * part), _MM_HINT_T0);
            __m512 w0 = _mm512_maskz_loadu_ps(left, w), w1 = _mm512_maskz_loadu_ps(right, w + 16);
            EACH_ROW(b) {
                __m512 x = _mm512_set1_ps(h[b * ldh + i]);
                sum[b][0] = _mm512_fmadd_ps(x, w0, sum[b][0]);
                sum[b][1] = _mm512_fmadd_ps(x, w1, sum[b][1]);
            }
        }
        EACH_ROW(b) {
            put(z + b * ldz + o, left, alpha, sum[b][0], beta);
            put(z + b * ldz + o + 16, right, alpha, sum[b][1], beta);
        }
    }
}

/* dx = alpha dz W^T + beta dx: two rows of W against all ten of dz. */
static void backward(int I, int O, float alpha, const float *W, long ldw, const float *dz, long lddz, float beta,
                     float *dx, long lddx) {
    for (int i = 0; i < I; i += 2) {
        int pair = i + 1 < I;
        const float *w = W + i * ldw, *next = pair ? w + ldw : w;
        __m512 sum[B][2];
        EACH_ROW(b)
            sum[b][0] = sum[b][1] = _mm512_setzero_ps();
        for (int o = 0; o < O; o += 16) {
            __mmask16 mask = lanes(O - o);
            _mm_prefetch((const char *)(w + o + 2 * ldw), _MM_HINT_T0);
            _mm_prefetch((const char *)(next + o + 2 * ldw), _MM_HINT_T0);
            __m512 w0 = _mm512_maskz_loadu_ps(mask, w + o), w1 = _mm512_maskz_loadu_ps(mask, next + o);
            EACH_ROW(b) {
                __m512 x = _mm512_maskz_loadu_ps(mask, dz + b * lddz + o);
                sum[b][0] = _mm512_fmadd_ps(x, w0, sum[b][0]);
                sum[b][1] = _mm512_fmadd_ps(x, w1, sum[b][1]);
            }
        }
        EACH_ROW(b) {
            float *x = dx + b * lddx + i, kept = beta != 0 ? beta * x[0] : 0, kept_next = beta != 0 && pair ? beta * x[1] : 0;
            x[0] = alpha * _mm512_reduce_add_ps(sum[b][0]) + kept;
            if (pair)
                x[1] = alpha * _mm512_reduce_add_ps(sum[b][1]) + kept_next;
        }
    }
}

/* W += alpha h^T dz: two rows of W at a time, ten products added to each entry while it is in a register. */
static void update(int I, int O, float alpha, const float *dz, long lddz, const float *h, long ldh, float *W, long ldw) {
    for (int i = 0; i < I; i += 2) {
        int pair = i + 1 < I;
        float *w = W + i * ldw, *next = w + ldw;
        __m512 x[B][2];
        EACH_ROW(b) {
            x[b][0] = _mm512_set1_ps(alpha * h[b * ldh + i]);
            x[b][1] = _mm512_set1_ps(pair ? alpha * h[b * ldh + i + 1] : 0);
        }
        for (int o = 0; o < O; o += 16) {
            __mmask16 mask = lanes(O - o), below = pair ? mask : 0;
            _mm_prefetch((const char *)(w + o + 2 * ldw), _MM_HINT_T0);
            _mm_prefetch((const char *)(next + o + 2 * ldw), _MM_HINT_T0);
            __m512 w0 = _mm512_maskz_loadu_ps(mask, w + o), w1 = _mm512_maskz_loadu_ps(below, next + o);
            EACH_ROW(b) {
                __m512 d = _mm512_maskz_loadu_ps(mask, dz + b * lddz + o);
                w0 = _mm512_fmadd_ps(x[b][0], d, w0);
                w1 = _mm512_fmadd_ps(x[b][1], d, w1);
            }
            _mm512_mask_storeu_ps(w + o, mask, w0);
            _mm512_mask_storeu_ps(next + o, below, w1);
        }
    }
}

void sgemm_(const char *transa, const char *transb, const int *m, const int *n, const int *k, const float *alpha,
            const float *a, const int *lda, const float *b, const int *ldb, const float *beta, float *c, const int *ldc) {
    static Gemm library;
    int ta = (*transa | 32) == 't', tb = (*transb | 32) == 't';
    if (*n == B && !tb && *m >= SMALL && *k >= SMALL) {
        (ta ? backward : forward)(*m, *k, *alpha, a, *lda, b, *ldb, *beta, c, *ldc);
    } else if (*k == B && !ta && tb && *m >= SMALL && *n >= SMALL && *beta == 1) {
        update(*n, *m, *alpha, a, *lda, b, *ldb, c, *ldc);
    } else {
        if (!library)
            library = (Gemm)dlsym(dlopen("libtorch_cpu.so", RTLD_NOLOAD | RTLD_NOW), "sgemm_");
        library(transa, transb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
    }
}
