# Language level, warnings, sanitizers, instruction-set baseline: one place for all targets.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_VISIBILITY_INLINES_HIDDEN ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release)
endif()

find_program(CCACHE ccache)
if(CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE})
endif()

add_library(pocketune_flags INTERFACE)
target_compile_options(pocketune_flags INTERFACE -Wall -Wextra -Wno-unused-parameter -Wno-missing-field-initializers
                       -ffunction-sections -fdata-sections)
# Small builds (docs/small_builds.md) do without padding to pages between code and constants.
target_link_options(pocketune_flags INTERFACE -Wl,--gc-sections
                    $<$<CONFIG:MinSizeRel>:-Wl,-z,noseparate-code>)
if(POCKETUNE_WERROR)
  target_compile_options(pocketune_flags INTERFACE -Werror)
endif()
# No contraction of a*b+c outside the SIMD kernels: results must not depend on inlining choices.
target_compile_options(pocketune_flags INTERFACE -ffp-contract=off)
# Baseline is the lowest level of `--isa`; everything above it is chosen at run time (ADR 0002).
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  target_compile_options(pocketune_flags INTERFACE -march=x86-64-v2 -maes -mpclmul)
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64")
  target_compile_options(pocketune_flags INTERFACE -march=armv8-a)
endif()
if(POCKETUNE_SANITIZE)
  target_compile_options(pocketune_flags INTERFACE -fsanitize=${POCKETUNE_SANITIZE}
    -fno-sanitize-recover=all -fno-omit-frame-pointer -O1 -g1)
  target_link_options(pocketune_flags INTERFACE -fsanitize=${POCKETUNE_SANITIZE})
  if(POCKETUNE_SANITIZE MATCHES "undefined")
    # The runtime has no RTTI, which the vptr check needs.
    target_compile_options(pocketune_flags INTERFACE -fno-sanitize=vptr)
  endif()
endif()
# Runtime side: no exceptions, no RTTI (docs/architecture.md).
add_library(pocketune_runtime_flags INTERFACE)
target_link_libraries(pocketune_runtime_flags INTERFACE pocketune_flags)
target_compile_options(pocketune_runtime_flags INTERFACE -fno-exceptions -fno-rtti)
# Small builds (docs/small_builds.md): nothing unwinds through the runtime, a twelfth of its size.
target_compile_options(pocketune_runtime_flags INTERFACE
                       $<$<CONFIG:MinSizeRel>:-fno-asynchronous-unwind-tables>)
