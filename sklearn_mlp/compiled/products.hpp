// Products of matrices, cut into calls that the BLAS has its fastest kernels for.
//
// OpenBLAS multiplies small matrices as they lie, and copies the parts of larger ones first, and
// it goes over the result once more. On processors with AVX-512, where it has kernels of the first
// kind, some products are faster in pieces; what limits the kernels is in its files
// `[sd]gemm_small_kernel_permit_skylakex.c`, what pays was measured with version 0.3.30.

// Multiply-adds up to which a product is small, and how many times as large one is cut; the numbers
// of a result where the first matrix is transposed, and multiply-adds up to which such a product
// is cut.
constexpr int64_t SMALL_WORK = 1000000, MOST_CUT_WORK = 4 * SMALL_WORK;
constexpr int64_t SMALL_RESULT = 1200, MOST_CUT_TRANSPOSED = 700000;

template <class T> class Products {
  public:
    explicit Products(Gemm<T> gemm) : gemm_(gemm) {}

    // c = factor a @ b, or with one of them transposed, columns first: (m, n) from (m, k), (k, n).
    void multiply(char of_a, char of_b, int m, int n, int k, T factor, const T *a, int lda,
                  const T *b, int ldb, T *c, int ldc) const {
        const int n_calls = (n - 1) / most_columns(of_a, m, n, k, lda) + 1;
        for (int call = 0; call < n_calls; ++call) {
            const int first = static_cast<int>(int64_t(n) * call / n_calls);
            int width = static_cast<int>(int64_t(n) * (call + 1) / n_calls) - first;
            T zero = 0;
            gemm_(&of_a, &of_b, &m, &width, &k, &factor, const_cast<T *>(a), &lda,
                  const_cast<T *>(b) + (of_b == 'N' ? int64_t(first) * ldb : first), &ldb, &zero,
                  c + int64_t(first) * ldc, &ldc);
        }
    }

    // How many columns of a large result to compute, and to go on with, at a time: the next step
    // finds them in the cache.
    static int columns_to_go_on_with(int m, int n, int k) {
        const int64_t small = SMALL_WORK / (int64_t(m) * k);
        return HAS_SMALL_PRODUCTS && small >= FEW_COLUMNS && small < n
            ? static_cast<int>(small / FEW_COLUMNS * FEW_COLUMNS)
            : n;
    }

  private:
    Gemm<T> gemm_;
    static constexpr int FEW_COLUMNS = 16;

    static int most_columns(char of_a, int m, int n, int k, int lda) {
        const int64_t work = int64_t(m) * n * k;
        if (!HAS_SMALL_PRODUCTS || work == 0)
            return n;
        if (of_a == 'T') {
            const bool is_cut = work <= MOST_CUT_TRANSPOSED && (k >= 128 || n <= FEW_COLUMNS)
                && m <= SMALL_RESULT;
            return is_cut ? static_cast<int>(SMALL_RESULT / m) : n;
        }
        // Columns that lie a large power of 2 apart compete for the same places in the cache.
        const bool is_cut = work > SMALL_WORK && work <= MOST_CUT_WORK
            && lda * sizeof(T) % 1024 != 0;
        const int64_t small = SMALL_WORK / (int64_t(m) * k);
        return is_cut && small >= FEW_COLUMNS ? static_cast<int>(small) : n;
    }
};
