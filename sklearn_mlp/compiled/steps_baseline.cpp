// The steps for any processor.
#define BUILD baseline
#include "build.hpp"
