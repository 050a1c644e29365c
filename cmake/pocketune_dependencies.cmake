# Every third-party library, each behind one target, each from a Debian package.
include(pocketune_runtime_dependencies)
find_program(FLATC flatc REQUIRED)

if(POCKETUNE_BUILD_COMPILER OR POCKETUNE_BUILD_APPS OR POCKETUNE_BUILD_BENCH)
  include(pocketune_compiler_dependencies)
endif()
if(POCKETUNE_BUILD_APPS OR POCKETUNE_BUILD_BENCH)
  find_package(CLI11 REQUIRED)
  pocketune_dependency(cli11 LIBS CLI11::CLI11)
endif()
if(POCKETUNE_BUILD_APPS)
  find_package(JPEG REQUIRED)
  find_package(PNG REQUIRED)
  find_package(ZLIB REQUIRED)
  # libwebp ships no CMake files in Debian 12.
  find_path(WEBP_INCLUDE webp/demux.h REQUIRED)
  find_library(WEBP_LIBRARY webp REQUIRED)
  find_library(WEBPDEMUX_LIBRARY webpdemux REQUIRED)
  pocketune_dependency(images INCLUDE ${WEBP_INCLUDE}
                       LIBS JPEG::JPEG PNG::PNG ${WEBPDEMUX_LIBRARY} ${WEBP_LIBRARY} ZLIB::ZLIB
                            ${CMAKE_DL_LIBS})
endif()
if(POCKETUNE_BUILD_TESTS)
  find_package(GTest REQUIRED)
  find_package(Eigen3 REQUIRED NO_MODULE)
  pocketune_dependency(eigen LIBS Eigen3::Eigen)
endif()
