#pragma once

#include <string>

#include "agent/config/config.h"
#include "agent/pipeline/hub.h"
#include "agent/pipeline/rules.h"

namespace stickmesh::daemon {

/// The config in the terms of the pipeline.
pipeline::Rules rules_of(const config::Config& config);
pipeline::HubSetup hub_setup_of(const config::Config& config, std::string config_file);

}  // namespace stickmesh::daemon
