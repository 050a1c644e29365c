# Toolchain of the preset "aarch64": Debian's cross compiler for 64-bit Arm (g++-aarch64-linux-gnu)
# and the folder that make_arm64_sysroot.sh makes. Tests run under qemu-user (docs/cross_compiling.md).
#   POCKETUNE_ARM64_SYSROOT   the folder (default build/arm64-sysroot)
#   POCKETUNE_EMULATED_CPU    the processor that qemu plays (default cortex-a53)
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)

set(POCKETUNE_ARM64_SYSROOT ${CMAKE_CURRENT_LIST_DIR}/../build/arm64-sysroot
    CACHE PATH "Headers and libraries for 64-bit Arm, from make_arm64_sysroot.sh")
set(POCKETUNE_EMULATED_CPU cortex-a53 CACHE STRING "Processor that qemu-aarch64 plays in the tests")
# Checks of the compiler read this file too, without the cache.
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES POCKETUNE_ARM64_SYSROOT POCKETUNE_EMULATED_CPU)
get_filename_component(CMAKE_SYSROOT ${POCKETUNE_ARM64_SYSROOT} ABSOLUTE)
if(NOT EXISTS ${CMAKE_SYSROOT}/made-of.txt)
  message(FATAL_ERROR "${CMAKE_SYSROOT} is not there: run cmake/make_arm64_sysroot.sh first")
endif()

# Programs (flatc, ccache, Python) are the machine's, everything else is the sysroot's.
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
set(CMAKE_LIBRARY_ARCHITECTURE aarch64-linux-gnu)

find_program(QEMU_AARCH64 qemu-aarch64)
if(QEMU_AARCH64)
  set(CMAKE_CROSSCOMPILING_EMULATOR ${QEMU_AARCH64} -cpu ${POCKETUNE_EMULATED_CPU} -L ${CMAKE_SYSROOT})
endif()
