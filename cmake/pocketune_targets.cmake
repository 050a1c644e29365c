# pt_library(NAME [RUNTIME] DIRS dir... DEPS target...)
# A static library of all .cc files right below DIRS: adding a file needs no CMake edit.
function(pt_library name)
  cmake_parse_arguments(ARG "RUNTIME" "" "DIRS;DEPS" ${ARGN})
  set(sources)
  foreach(dir ${ARG_DIRS})
    file(GLOB found CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/${dir}/*.cc)
    list(APPEND sources ${found})
  endforeach()
  if(sources)
    add_library(${name} STATIC ${sources})
    set(scope PUBLIC)
    target_link_libraries(${name} PRIVATE
      $<BUILD_INTERFACE:$<IF:$<BOOL:${ARG_RUNTIME}>,pocketune_runtime_flags,pocketune_flags>>)
  else()
    add_library(${name} INTERFACE)
    set(scope INTERFACE)
  endif()
  target_include_directories(${name} ${scope}
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}>
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/engine/include>
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/graph/include>
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/frontends/include>
    $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  target_link_libraries(${name} ${scope} ${ARG_DEPS})
endfunction()

# pt_test(NAME DIR dir DEPS target... [LABELS label...] [SLOW])
# One GoogleTest binary of all *_test.cc files right below DIR. SLOW: those of its tests whose name
# holds "Slow" have that label alone.
function(pt_test name)
  cmake_parse_arguments(ARG "SLOW" "DIR" "DEPS;LABELS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/${ARG_DIR}/*_test.cc)
  if(NOT sources)
    return()
  endif()
  add_executable(${name} ${sources})
  target_link_libraries(${name} PRIVATE pocketune_flags ${ARG_DEPS} GTest::gmock GTest::gtest_main)
  target_compile_definitions(${name} PRIVATE
    POCKETUNE_SOURCE_DIR="${PROJECT_SOURCE_DIR}" POCKETUNE_BINARY_DIR="${CMAKE_BINARY_DIR}")
  include(GoogleTest)
  set(fast)
  if(ARG_SLOW)
    set(fast TEST_FILTER -*Slow*)
    gtest_discover_tests(${name} TEST_FILTER *Slow* NO_PRETTY_VALUES DISCOVERY_TIMEOUT 60
                         PROPERTIES LABELS slow TIMEOUT 1800)
  endif()
  gtest_discover_tests(${name} ${fast} NO_PRETTY_VALUES DISCOVERY_TIMEOUT 60
                       PROPERTIES LABELS "${ARG_LABELS}" TIMEOUT 600)
endfunction()
