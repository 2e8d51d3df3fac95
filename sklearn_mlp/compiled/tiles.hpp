// Products of matrices of some hundred rows and columns, in tiles that stay in registers.
//
// BLAS is made for larger ones: of these it copies both before it begins, or finds no kernel that
// fits. Here the first matrix is read as it lies, or transposed a piece at a time that stays in the
// first cache, and the second is always read as it lies.

template <class T> class Tiles {
  public:
    // Numbers of a vector, and of a tile from top to bottom.
    static constexpr int WIDTH = VECTOR_BYTES / sizeof(T), HEIGHT = TILE_VECTORS * WIDTH;

    // A matrix of which two neighbours in a column, or in a row, are so many numbers apart.
    struct Matrix {
        const T *numbers;
        int64_t down, right;
    };

    // c = factor a @ b, columns first: (m, n) from (m, k) and (k, n); columns of a, or its rows,
    // are in one piece.
    static void multiply(int m, int n, int k, T factor, Matrix a, Matrix b, T *c, int64_t ldc) {
        alignas(64) T piece[DEPTH * HEIGHT];
        // Columns that lie a large power of 2 apart compete for the same places in the cache.
        const bool compete = n >= MANY_COLUMNS && a.right * sizeof(T) % 1024 == 0;
        for (int done = 0; done < k; done += DEPTH) {
            const int depth = least(DEPTH, k - done);
            const Matrix below{b.numbers + done * b.down, b.down, b.right};
            for (int row = 0; row < m; row += HEIGHT) {
                const int height = least(HEIGHT, m - row);
                Matrix left{a.numbers + row * a.down + done * a.right, a.down, a.right};
                if (a.down != 1 || height % WIDTH || compete) {
                    copy(left, height, depth, piece);
                    left = {piece, 1, HEIGHT};
                }
                go_along<TILE_VECTORS>(n, depth, left, below,
                                       {c + row, ldc, factor, height, done > 0});
            }
        }
    }

  private:
    typedef T Vector __attribute__((vector_size(VECTOR_BYTES), aligned(alignof(T)), may_alias));

    // Products are summed up over so many rows of the second matrix at a time; of so many columns
    // a copy of the first one pays; and so many are in a tile at most, each read through an address
    // of its own.
    static constexpr int DEPTH = 128, MANY_COLUMNS = 64, MOST_COLUMNS = 8;

    // Where tiles are written, and how.
    struct Result {
        T *numbers;
        int64_t stride; // from one column to the next
        T factor;
        int height; // of a tile, which may have rows that are nobody's
        bool is_begun;
    };

    static constexpr int least(int one, int other) { return one < other ? one : other; }

    // Computes tiles of n columns from left to right, all about as wide, and no higher than needed.
    template <int VECTORS>
    static void go_along(int n, int depth, Matrix a, Matrix b, Result into) {
        if constexpr (VECTORS > 1)
            if (into.height <= (VECTORS - 1) * WIDTH)
                return go_along<VECTORS - 1>(n, depth, a, b, into);
        constexpr int most = least(TILE_REGISTERS / VECTORS, MOST_COLUMNS);
        const int n_tiles = (n - 1) / most + 1;
        for (int tile = 0, column = 0; tile < n_tiles; ++tile) {
            const int next = static_cast<int>(int64_t(n) * (tile + 1) / n_tiles);
            compute_columns<VECTORS, most>(next - column, depth, a, b, column, into);
            column = next;
        }
    }

    template <int VECTORS, int N>
    static void compute_columns(int n, int depth, Matrix a, Matrix b, int column, Result into) {
        if constexpr (N > 1)
            if (n < N)
                return compute_columns<VECTORS, N - 1>(n, depth, a, b, column, into);
        compute<VECTORS, N>(depth, a, b, column, into);
    }

    template <int VECTORS, int N>
    static INLINED void compute(int depth, Matrix a, Matrix b, int column, Result into) {
        const T *__restrict from = a.numbers, *__restrict by = b.numbers + column * b.right;
        Vector sums[N][VECTORS] = {};
        for (int p = 0; p < depth; ++p, from += a.right, by += b.down) {
            Vector part[VECTORS];
            UNROLLED
            for (int v = 0; v < VECTORS; ++v)
                part[v] = *reinterpret_cast<const Vector *>(from + v * WIDTH);
            UNROLLED
            for (int j = 0; j < N; ++j)
                UNROLLED
                for (int v = 0; v < VECTORS; ++v)
                    sums[j][v] += part[v] * by[j * b.right];
        }
        UNROLLED
        for (int j = 0; j < N; ++j)
            write<VECTORS>(sums[j], into, column + j);
    }

    template <int VECTORS>
    static INLINED void write(const Vector (&sums)[VECTORS], const Result &into, int column) {
        T *to = into.numbers + column * into.stride;
        if (into.height == VECTORS * WIDTH) {
            UNROLLED
            for (int v = 0; v < VECTORS; ++v) {
                Vector *place = reinterpret_cast<Vector *>(to + v * WIDTH);
                *place = into.is_begun ? *place + sums[v] * into.factor : sums[v] * into.factor;
            }
            return;
        }
        T numbers[VECTORS * WIDTH];
        UNROLLED
        for (int v = 0; v < VECTORS; ++v)
            *reinterpret_cast<Vector *>(numbers + v * WIDTH) = sums[v] * into.factor;
        for (int i = 0; i < into.height; ++i)
            to[i] = into.is_begun ? to[i] + numbers[i] : numbers[i];
    }

    // Copies a piece column by column, each HEIGHT numbers from the next. What fills the last vector
    // of a column is nobody's, but can be read.
    static void copy(Matrix a, int height, int depth, T *to) {
        if (a.down != 1 && depth >= WIDTH)
            return copy_transposed(a.numbers, a.down, height, depth, to);
        const int filled = (height + WIDTH - 1) / WIDTH * WIDTH;
        for (int column = 0; column < depth; ++column, to += HEIGHT)
            for (int row = 0; row < filled; ++row)
                to[row] = row < height ? a.numbers[column * a.right + row * a.down] : T(0);
    }

    static void copy_transposed(const T *rows, int64_t stride, int height, int depth, T *to) {
        for (int row = 0; row < height; row += WIDTH)
            for (int done = 0; done < depth; done += WIDTH) {
                // The last square may lie on the one before.
                const int column = least(done, depth - WIDTH);
                transpose(rows + row * stride + column, stride, height - row,
                          to + column * HEIGHT + row);
            }
    }

    // Turns the rows of a square, the last one again for those that are not there, into columns: as
    // often as it takes for each number to come by all places, row i of the upper half is merged
    // with row i of the lower, number by number.
    static INLINED void transpose(const T *from, int64_t stride, int n_rows, T *to) {
        Vector rows[WIDTH], merged[WIDTH];
        UNROLLED
        for (int i = 0; i < WIDTH; ++i)
            rows[i] = *reinterpret_cast<const Vector *>(from + least(i, n_rows - 1) * stride);
        UNROLLED
        for (int times = 1; times < WIDTH; times *= 2) {
            UNROLLED
            for (int i = 0; i < WIDTH / 2; ++i)
                merge(rows[i], rows[i + WIDTH / 2], merged[2 * i], merged[2 * i + 1], Places());
            UNROLLED
            for (int i = 0; i < WIDTH; ++i)
                rows[i] = merged[i];
        }
        UNROLLED
        for (int i = 0; i < WIDTH; ++i)
            *reinterpret_cast<Vector *>(to + i * HEIGHT) = rows[i];
    }

    using Places = std::make_integer_sequence<int, WIDTH>;

    template <int... I>
    static INLINED void merge(const Vector &one, const Vector &other, Vector &first, Vector &second,
                              std::integer_sequence<int, I...>) {
        constexpr int half = WIDTH / 2;
#ifdef __clang__
        first = __builtin_shufflevector(one, other, (I % 2 * WIDTH + I / 2)...);
        second = __builtin_shufflevector(one, other, (I % 2 * WIDTH + I / 2 + half)...);
#else
        using Place = std::conditional_t<sizeof(T) == 4, int32_t, int64_t>;
        typedef Place Order __attribute__((vector_size(VECTOR_BYTES)));
        first = __builtin_shuffle(one, other, Order{(I % 2 * WIDTH + I / 2)...});
        second = __builtin_shuffle(one, other, Order{(I % 2 * WIDTH + I / 2 + half)...});
#endif
    }
};
