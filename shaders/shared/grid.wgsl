// Which workgroup this is, counted through the 2-D grid that a dispatch of more than 65 535 workgroups needs.
fn workgroup_index(id: vec3<u32>, count: vec3<u32>) -> u32 {
    return id.y * count.x + id.x;
}
