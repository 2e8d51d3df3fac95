// Products of matrices: by tiles of our own where these are faster, else by BLAS.
//
// What is faster was measured beside OpenBLAS 0.3.30, on one core, with AVX-512 and with AVX2.

template <class T> class Products {
  public:
    explicit Products(Gemm<T> gemm) : gemm_(gemm) {}

    // c = factor a @ b, or with one of them transposed, columns first: (m, n) from (m, k), (k, n).
    void multiply(char of_a, char of_b, int m, int n, int k, T factor, const T *a, int lda,
                  const T *b, int ldb, T *c, int ldc) const {
#ifdef VECTOR_BYTES
        if (are_tiles_faster(of_a, m, n, k)) {
            const typename Tiles<T>::Matrix left{a, of_a == 'N' ? 1 : lda, of_a == 'N' ? lda : 1};
            const typename Tiles<T>::Matrix right{b, of_b == 'N' ? 1 : ldb, of_b == 'N' ? ldb : 1};
            return Tiles<T>::multiply(m, n, k, factor, left, right, c, ldc);
        }
#endif
        T zero = 0;
        gemm_(&of_a, &of_b, &m, &n, &k, &factor, const_cast<T *>(a), &lda, const_cast<T *>(b),
              &ldb, &zero, c, &ldc);
    }

    // How many columns of a result to compute, and to go on with, at a time: the next step finds
    // them in the cache. Cutting costs BLAS more than that gains.
    static int columns_to_go_on_with(int m, int n, int k) {
        const bool is_cut = n > FEW_COLUMNS && int64_t(m) * n > IN_CACHE
            && are_tiles_faster('N', m, n, k);
        return is_cut ? FEW_COLUMNS : n;
    }

  private:
    Gemm<T> gemm_;

    // About as many numbers as the first cache holds, and the fewest columns that are worth tiles
    // beside BLAS's own kernels for few.
    static constexpr int64_t IN_CACHE = 8192;
    static constexpr int FEW_COLUMNS = 16;

    // Of large matrices copies pay, which tiles do without. On processors with AVX-512, OpenBLAS
    // has kernels for products that are small, if the first matrix lies as it is needed, and for
    // those of few columns (`[sd]gemm_small_kernel_permit_skylakex.c`).
    static bool are_tiles_faster(char of_a, int m, int n, int k) {
#ifdef VECTOR_BYTES
        const int64_t work = int64_t(m) * n * k;
        if (work == 0 || work > 32000000)
            return false;
        return !HAS_SMALL_PRODUCTS || (n >= FEW_COLUMNS && (of_a == 'T' || work > 1000000));
#else
        return false;
#endif
    }
};
