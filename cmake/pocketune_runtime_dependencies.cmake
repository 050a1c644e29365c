# Third-party libraries of the runtime side, each behind one target. Read by the build and, from the
# install tree, by find_package(pocketune). POCKETUNE_XNNPACK says whether XNNPACK is one of them.

# pocketune_dependency(NAME [INCLUDE dir] [LIBS lib...]) defines pocketune_dep_NAME: imported, so that
# exported targets may name it.
function(pocketune_dependency name)
  cmake_parse_arguments(ARG "" "INCLUDE" "LIBS" ${ARGN})
  if(TARGET pocketune_dep_${name})
    return()
  endif()
  add_library(pocketune_dep_${name} INTERFACE IMPORTED)
  target_include_directories(pocketune_dep_${name} SYSTEM INTERFACE ${ARG_INCLUDE})
  target_link_libraries(pocketune_dep_${name} INTERFACE ${ARG_LIBS})
endfunction()

find_package(Threads REQUIRED)

# pthreadpool and XNNPACK ship neither CMake nor pkg-config files.
find_path(PTHREADPOOL_INCLUDE pthreadpool.h REQUIRED)
find_library(PTHREADPOOL_LIBRARY pthreadpool REQUIRED)
pocketune_dependency(pthreadpool INCLUDE ${PTHREADPOOL_INCLUDE}
                     LIBS ${PTHREADPOOL_LIBRARY} Threads::Threads)

if(POCKETUNE_XNNPACK)
  find_path(XNNPACK_INCLUDE xnnpack.h REQUIRED)
  find_library(XNNPACK_LIBRARY XNNPACK REQUIRED)
  pocketune_dependency(xnnpack INCLUDE ${XNNPACK_INCLUDE}
                       LIBS ${XNNPACK_LIBRARY} pocketune_dep_pthreadpool)
endif()

find_path(HWY_INCLUDE hwy/highway.h REQUIRED)
find_library(HWY_LIBRARY hwy REQUIRED)
pocketune_dependency(highway INCLUDE ${HWY_INCLUDE} LIBS ${HWY_LIBRARY})

find_path(XXHASH_INCLUDE xxhash.h REQUIRED)
pocketune_dependency(xxhash INCLUDE ${XXHASH_INCLUDE})

find_path(FLATBUFFERS_INCLUDE flatbuffers/flatbuffers.h REQUIRED)
pocketune_dependency(flatbuffers INCLUDE ${FLATBUFFERS_INCLUDE})
