#pragma once

#include <string>
#include <vector>

#include "agent/config/config.h"
#include "agent/hooks/hook.h"
#include "agent/pipeline/hub.h"
#include "agent/pipeline/rules.h"

namespace stickmesh::daemon {

/// The config in the terms of the pipeline.
pipeline::Rules rules_of(const config::Config& config);
pipeline::HubSetup hub_setup_of(const config::Config& config, std::string config_file);
std::vector<hooks::HookSetup> hook_setups_of(const config::Config& config);

/// The tables of the config.
void declare_tables(const config::Config& config, pipeline::Registry& registry, TimePoint now);

/// Loads the script of each `[[hook]]`; none of their functions is called. What is wrong with which, in
/// words.
std::vector<std::string> check_hooks(const config::Config& config, const std::string& config_file);

}  // namespace stickmesh::daemon
