package reminder

import (
	"slices"
	"text/template/parse"
)

// JudgesService reports whether a text may be worded by which service it is
// about, rather than only name it, or leave the name out where there is none.
// What holds for one service's name holds for another's if it does not. How to
// pay the service counts as its name does.
func (t Templates) JudgesService() bool {
	for _, those := range t.byLanguage {
		texts := slices.Concat(those.before.Templates(), those.after.Templates())
		if those.bundle != nil {
			texts = append(texts, those.bundle.Templates()...)
		}
		for _, text := range texts {
			if judges(text.Root) {
				return true
			}
		}
	}
	return false
}

// judges looks for a command that is given the service's name beside something
// else, as eq and printf are; or what the name may be in: the dot, a variable.
func judges(n parse.Node) bool {
	branch := func(b parse.BranchNode) bool {
		return judges(b.Pipe) || judges(b.List) || b.ElseList != nil && judges(b.ElseList)
	}
	switch n := n.(type) {
	case *parse.ListNode:
		return slices.ContainsFunc(n.Nodes, judges)
	case *parse.ActionNode:
		return judges(n.Pipe)
	case *parse.TemplateNode:
		return n.Pipe != nil && judges(n.Pipe)
	case *parse.IfNode:
		return branch(n.BranchNode)
	case *parse.WithNode:
		return branch(n.BranchNode)
	case *parse.RangeNode:
		return branch(n.BranchNode)
	case *parse.PipeNode:
		for _, c := range n.Cmds {
			if (len(n.Cmds) > 1 || len(c.Args) > 1) && slices.ContainsFunc(c.Args, mayHoldService) {
				return true
			}
			if slices.ContainsFunc(c.Args, judges) { // a pipe in brackets
				return true
			}
		}
	}
	return false
}

// mayHoldService reports whether the value of a node may have the service's
// name in it.
func mayHoldService(n parse.Node) bool {
	switch n := n.(type) {
	case *parse.FieldNode:
		return slices.ContainsFunc(n.Ident, isOfService)
	case *parse.VariableNode:
		return len(n.Ident) == 1 || slices.ContainsFunc(n.Ident, isOfService)
	case *parse.DotNode, *parse.PipeNode, *parse.ChainNode:
		return true
	}
	return false
}

// isOfService reports whether a field has the same value for all bills of a service.
func isOfService(field string) bool {
	return field == "Service" || field == "Pay" || field == "PayIfRoom"
}
