# The install tree: static libraries, public headers, the command line and what find_package needs.
# Components: runtime (engine and CPU backend), c (the C library), compiler (the compile side), tools (the
# command line).
include(CMakePackageConfigHelpers)
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/pocketune)

# pt_install(COMPONENT target...) exports them as pocketune::<name without the prefix>.
function(pt_install component)
  foreach(target ${ARGN})
    string(REPLACE "pocketune_" "" name ${target})
    set_target_properties(${target} PROPERTIES EXPORT_NAME ${name})
  endforeach()
  install(TARGETS ${ARGN} EXPORT pocketune_${component}_targets
          ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT ${component})
  install(EXPORT pocketune_${component}_targets NAMESPACE pocketune::
          DESTINATION ${package_dir} COMPONENT ${component})
  install(FILES ${PROJECT_SOURCE_DIR}/cmake/pocketune_${component}_dependencies.cmake
          DESTINATION ${package_dir} COMPONENT ${component})
endfunction()

# Whoever includes the public headers needs the language level.
target_compile_features(pocketune_base PUBLIC cxx_std_20)
pt_install(runtime pocketune_base pocketune_ops pocketune_backend_api pocketune_plan_schema
           pocketune_checkpoint_schema pocketune_plan pocketune_runtime pocketune_train
           pocketune_cpu)
install(DIRECTORY engine/include/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT runtime)
configure_package_config_file(
  cmake/pocketune-config.cmake.in ${PROJECT_BINARY_DIR}/pocketune-config.cmake
  INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/pocketune-config-version.cmake
                                 COMPATIBILITY SameMinorVersion)
foreach(component runtime c)
  install(FILES ${PROJECT_BINARY_DIR}/pocketune-config.cmake
                ${PROJECT_BINARY_DIR}/pocketune-config-version.cmake
          DESTINATION ${package_dir} COMPONENT ${component})
endforeach()

# The C library for find_package and for pkg-config; the archive for the latter alone, with --static.
if(POCKETUNE_BUILD_C_API)
  set_target_properties(pocketune_c PROPERTIES EXPORT_NAME c)
  install(TARGETS pocketune_c EXPORT pocketune_c_targets
          LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT c NAMELINK_COMPONENT c)
  install(EXPORT pocketune_c_targets NAMESPACE pocketune:: DESTINATION ${package_dir} COMPONENT c)
  install(TARGETS pocketune_c_static ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT c)
  install(FILES engine/include/pocketune.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT c)
  set(pkgconfig_dir ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
  file(RELATIVE_PATH prefix_from_pc /${pkgconfig_dir} /)
  string(REGEX REPLACE "/$" "" prefix_from_pc ${prefix_from_pc})
  set(private_libs "-lpthreadpool -lhwy -lstdc++ -lm -lpthread")
  if(POCKETUNE_XNNPACK)
    string(PREPEND private_libs "-lXNNPACK ")
  endif()
  configure_file(cmake/pocketune.pc.in ${PROJECT_BINARY_DIR}/pocketune.pc @ONLY)
  install(FILES ${PROJECT_BINARY_DIR}/pocketune.pc DESTINATION ${pkgconfig_dir} COMPONENT c)
endif()

if(POCKETUNE_BUILD_COMPILER)
  pt_install(compiler pocketune_ir pocketune_memory pocketune_passes pocketune_lower
             pocketune_autodiff pocketune_sparse_bp pocketune_compiler pocketune_frontends)
  install(DIRECTORY graph/include/ frontends/include/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT compiler)
endif()
if(POCKETUNE_BUILD_APPS)
  install(TARGETS pocketune RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT tools)
endif()
