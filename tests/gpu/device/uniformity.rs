//! Barriers are reached by all threads of a workgroup. naga's own check ignores thread-dependent values in variables and
//! thread-dependent breaks. This one follows values that differ among threads through expressions, variables and control
//! flow, until nothing new is found.

use std::collections::HashSet;

use naga::{AddressSpace, Binding, BuiltIn, Expression, Function, Handle, LocalVariable, Module, Statement};
use spextral::gpu::all_variants;

/// Facts about one function, called with some arguments that differ among threads.
struct Analysis<'a> {
    module: &'a Module,
    function: &'a Function,
    /// Which arguments differ.
    arguments: Vec<bool>,
    /// Which expressions differ.
    differs: Vec<bool>,
    variables: HashSet<Handle<LocalVariable>>,
    calls: HashSet<Handle<Expression>>,
    result: bool,
    violation: bool,
}

/// Whether some threads, not all, have left by now.
#[derive(Clone, Copy, Default, PartialEq)]
struct Left {
    function: bool,
    turn: bool,
}

impl<'a> Analysis<'a> {
    /// Analyses a function; `apart`: not all threads call it.
    fn of(module: &'a Module, function: &'a Function, arguments: Vec<bool>, apart: bool) -> Self {
        let (variables, calls) = (HashSet::new(), HashSet::new());
        let differs = vec![false; function.expressions.len()];
        let mut analysis =
            Self { module, function, arguments, differs, variables, calls, result: false, violation: false };
        loop {
            let before = (analysis.variables.len(), analysis.calls.len(), analysis.result);
            analysis.mark_expressions();
            analysis.walk(&function.body, apart);
            if before == (analysis.variables.len(), analysis.calls.len(), analysis.result) {
                return analysis;
            }
        }
    }

    fn is(&self, expression: Handle<Expression>) -> bool {
        self.differs[expression.index()]
    }

    /// Marks expressions that differ. Operands come before their users, so one pass serves.
    fn mark_expressions(&mut self) {
        for (handle, expression) in self.function.expressions.iter() {
            let differs = match *expression {
                Expression::Literal(_) | Expression::Constant(_) | Expression::ZeroValue(_) => false,
                Expression::GlobalVariable(_) | Expression::LocalVariable(_) => false,
                Expression::FunctionArgument(index) => self.arguments[index as usize],
                Expression::ArrayLength(_) | Expression::WorkGroupUniformLoadResult { .. } => false,
                Expression::Access { base, index } => self.is(base) || self.is(index),
                Expression::AccessIndex { base, .. } => self.is(base),
                Expression::Splat { value, .. } => self.is(value),
                Expression::Swizzle { vector, .. } => self.is(vector),
                Expression::Compose { ref components, .. } => components.iter().any(|&part| self.is(part)),
                Expression::Load { pointer } => self.is(pointer) || self.memory_differs(pointer),
                Expression::Unary { expr, .. } | Expression::As { expr, .. } => self.is(expr),
                Expression::Binary { left, right, .. } => self.is(left) || self.is(right),
                Expression::Select { condition, accept, reject } => {
                    self.is(condition) || self.is(accept) || self.is(reject)
                }
                Expression::Math { arg, arg1, arg2, arg3, .. } => {
                    [Some(arg), arg1, arg2, arg3].into_iter().flatten().any(|part| self.is(part))
                }
                Expression::Relational { argument, .. } => self.is(argument),
                Expression::CallResult(_) => self.calls.contains(&handle),
                _ => true,
            };
            self.differs[handle.index()] = differs;
        }
    }

    /// The expression that a chain of accesses starts from.
    fn root(&self, mut pointer: Handle<Expression>) -> &Expression {
        loop {
            match self.function.expressions[pointer] {
                Expression::Access { base, .. } | Expression::AccessIndex { base, .. } => pointer = base,
                ref other => return other,
            }
        }
    }

    /// Whether threads may read different values at one address: memory that they write does, until a barrier.
    fn memory_differs(&self, pointer: Handle<Expression>) -> bool {
        match *self.root(pointer) {
            Expression::LocalVariable(variable) => self.variables.contains(&variable),
            Expression::GlobalVariable(variable) => match self.module.global_variables[variable].space {
                AddressSpace::Uniform => false,
                AddressSpace::Storage { access } => access.contains(naga::StorageAccess::STORE),
                _ => true,
            },
            _ => true,
        }
    }

    fn taint(&mut self, pointer: Handle<Expression>) {
        if let Expression::LocalVariable(variable) = *self.root(pointer) {
            self.variables.insert(variable);
        }
    }

    /// Follows a block; `apart`: not all threads are here.
    fn walk(&mut self, block: &naga::Block, apart: bool) -> Left {
        let mut left = Left::default();
        for statement in block {
            let apart = apart || left.function || left.turn;
            let now = self.step(statement, apart);
            left = Left { function: left.function || now.function, turn: left.turn || now.turn };
        }
        left
    }

    fn step(&mut self, statement: &Statement, apart: bool) -> Left {
        match *statement {
            Statement::ControlBarrier(_) | Statement::WorkGroupUniformLoad { .. } => self.violation |= apart,
            Statement::Block(ref block) => return self.walk(block, apart),
            Statement::If { condition, ref accept, ref reject } => {
                let apart = apart || self.is(condition);
                let (a, b) = (self.walk(accept, apart), self.walk(reject, apart));
                return Left { function: a.function || b.function, turn: a.turn || b.turn };
            }
            Statement::Switch { selector, ref cases } => {
                let apart = apart || self.is(selector);
                let mut left = Left::default();
                for case in cases {
                    let now = self.walk(&case.body, apart);
                    left = Left { function: left.function || now.function, turn: left.turn || now.turn };
                }
                return left;
            }
            Statement::Loop { ref body, ref continuing, break_if } => {
                let turn = |analysis: &mut Self, apart| {
                    let a = analysis.walk(body, apart);
                    let b = analysis.walk(continuing, apart || a.function || a.turn);
                    let breaks = break_if.is_some_and(|condition| analysis.is(condition));
                    Left { function: a.function || b.function, turn: a.turn || b.turn || breaks }
                };
                let first = turn(self, apart);
                // Threads that have left are missing in all later turns; behind the loop they are back.
                let again = turn(self, apart || first.function || first.turn);
                return Left { function: first.function || again.function, turn: false };
            }
            Statement::Break | Statement::Continue => return Left { function: false, turn: apart },
            Statement::Return { value } => {
                self.result |= apart || value.is_some_and(|value| self.is(value));
                return Left { function: apart, turn: false };
            }
            Statement::Store { pointer, value } if apart || self.is(value) || self.is(pointer) => self.taint(pointer),
            Statement::Call { function, ref arguments, result } => self.call(function, arguments, result, apart),
            _ => {}
        }
        Left::default()
    }

    fn call(
        &mut self,
        function: Handle<Function>,
        arguments: &[Handle<Expression>],
        result: Option<Handle<Expression>>,
        apart: bool,
    ) {
        let differs = arguments.iter().map(|&argument| self.is(argument)).collect();
        let callee = Analysis::of(self.module, &self.module.functions[function], differs, apart);
        self.violation |= callee.violation;
        // A variable lent to the callee may hold anything afterwards.
        arguments.iter().for_each(|&argument| self.taint(argument));
        if let Some(result) = result
            && (callee.result || apart)
        {
            self.calls.insert(result);
        }
    }
}

/// The entry points that reach a barrier without all their threads.
fn violations(source: &str) -> Vec<String> {
    let module =
        naga::front::wgsl::parse_str(source).unwrap_or_else(|error| panic!("{}", error.emit_to_string(source)));
    let violates = |point: &&naga::EntryPoint| {
        let uniform = [Binding::BuiltIn(BuiltIn::WorkGroupId), Binding::BuiltIn(BuiltIn::NumWorkGroups)];
        let differs =
            |argument: &naga::FunctionArgument| !argument.binding.as_ref().is_some_and(|b| uniform.contains(b));
        let arguments = point.function.arguments.iter().map(differs).collect();
        Analysis::of(&module, &point.function, arguments, false).violation
    };
    module.entry_points.iter().filter(violates).map(|point| point.name.clone()).collect()
}

#[test]
fn every_barrier_of_every_variant_is_reached_by_all_threads_of_its_workgroup() {
    for variant in all_variants() {
        assert_eq!(violations(&variant.source().unwrap()), Vec::<String>::new(), "{variant}");
    }
}

#[test]
fn barriers_that_some_threads_miss_are_found() {
    let around = |body: &str| {
        format!(
            "@group(0) @binding(0) var<storage, read_write> data: array<u32>;
            @group(0) @binding(1) var<uniform> count: u32;
            var<workgroup> flag: u32;
            fn helper(x: u32) -> u32 {{ if x > 3u {{ return 1u; }} return 0u; }}
            fn waits() {{ workgroupBarrier(); }}
            @compute @workgroup_size(8) fn main(@builtin(local_invocation_index) thread: u32,
                @builtin(workgroup_id) group: vec3<u32>) {{ {body} }}"
        )
    };
    let bad = [
        "if thread < 4u { workgroupBarrier(); }",
        "if thread < 4u { return; } workgroupBarrier();",
        "var x = 0u; x = thread; if x < 4u { workgroupBarrier(); }",
        "var x = 0u; if thread < 4u { x = 1u; } if x == 1u { workgroupBarrier(); }",
        "for (var i = 0u; i < thread; i++) { workgroupBarrier(); }",
        "for (var i = 0u; i < count; i++) { if i == thread { break; } workgroupBarrier(); }",
        "for (var i = 0u; i < count; i++) { workgroupBarrier(); if i == thread { break; } }",
        "if data[0] == 1u { workgroupBarrier(); }",
        "if flag == 1u { workgroupBarrier(); }",
        "if helper(thread) == 1u { workgroupBarrier(); }",
        "if thread == 0u { waits(); }",
    ];
    for body in bad {
        assert_eq!(violations(&around(body)), ["main"], "{body}");
    }
    let good = [
        "if group.x >= count { return; } workgroupBarrier();",
        "for (var i = 0u; i < count; i++) { if i < thread { continue; } data[i] = 1u; } workgroupBarrier();",
        "for (var i = 0u; i < count; i++) { if thread == i { flag = 1u; } waits(); }",
        "if workgroupUniformLoad(&flag) == 1u { return; } workgroupBarrier();",
        "if helper(count) == 1u { workgroupBarrier(); }",
    ];
    for body in good {
        assert_eq!(violations(&around(body)), Vec::<String>::new(), "{body}");
    }
}
